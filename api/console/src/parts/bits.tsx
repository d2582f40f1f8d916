// The small parts of every page.
import { type ComponentChildren, Fragment } from 'preact'
import { useState } from 'preact/hooks'
import { textOf } from '../exact'
import { millisOf, shortId, time } from '../format'
import { to } from '../router'
import { t } from '../text'

// State tells by shape, word and colour. No two states of one kind of thing have the same shape.
const marks: Record<string, [string, string]> = {
	success: ['✓', 'ok'], FINISHED: ['✓', 'ok'], ready: ['✓', 'ok'], healthy: ['✓', 'ok'], Production: ['●', 'ok'], retried: ['✓', 'ok'], replaced: ['✓', 'ok'],
	running: ['▶', 'on'], RUNNING: ['▶', 'on'], queued: ['◷', 'dim'], SCHEDULED: ['◷', 'dim'], up_for_retry: ['↻', 'warn'], Staging: ['◐', 'warn'], paused: ['‖', 'warn'],
	failed: ['✕', 'bad'], FAILED: ['✕', 'bad'], upstream_failed: ['⊘', 'bad'], KILLED: ['■', 'bad'], cancelled: ['■', 'warn'], interrupted: ['↯', 'bad'], halted: ['✕', 'bad'], open: ['✕', 'bad'],
	skipped: ['↷', 'dim'], Archived: ['▽', 'dim'], None: ['○', 'dim'], dropped: ['▽', 'dim'], lagging: ['◷', 'warn'],
}
export function State({ of, bare }: { of: string; bare?: boolean }) {
	const [mark, tone] = marks[of] ?? ['○', 'dim']
	const word = of || t.none // a task that waits for others has no state yet
	return <span class={`state ${tone}`} title={word}><i aria-hidden="true">{mark}</i>{bare ? <span class="hidden">{word}</span> : <span>{word}</span>}</span>
}

export function Time({ at, short }: { at: number | string | undefined; short?: boolean }) {
	const millis = millisOf(at)
	if (!Number.isFinite(millis) || millis === 0) return <span class="dim">–</span>
	return <time dateTime={new Date(millis).toISOString()} title={time(millis)}>{time(millis, short ?? true)}</time>
}

export function Copy({ text, label }: { text: string; label?: string }) {
	const [done, setDone] = useState(false)
	const copy = async () => {
		await navigator.clipboard?.writeText(text)
		setDone(true)
		setTimeout(() => setDone(false), 1500)
	}
	return <button type="button" class="quiet" onClick={() => void copy()} aria-label={label ?? t.copy}>{done ? t.copied : label ?? t.copy}</button>
}

// Id is a name that people do not read to its end.
export function Id({ id, href }: { id: string; href?: string }) {
	return href ? <a class="mono" href={href} title={id}>{shortId(id)}</a> : <span class="mono" title={id}>{shortId(id)}</span>
}

export const Position = ({ at }: { at: string }) => <a class="mono" href={to(['events', at.includes('@') ? at : `mlops-events/0@${at}`])}>{at}</a>

export const Stream = ({ name }: { name: string }) => <a class="mono" href={to(['events', 'streams', ...name.split('/')])}>{name}</a>

const cutAt = 400 // letters: more than a line has

// Cut is a text of any length in a list, a line of it. Its own page has it whole.
export function Cut({ text, href, tone }: { text: string | undefined; href?: string; tone?: string }) {
	const all = text ?? ''
	const more = { class: tone ? `cut ${tone}` : 'cut', title: all.length > 40 ? all.slice(0, 10 * cutAt) : undefined }
	return href === undefined ? <span {...more}>{all.slice(0, cutAt)}</span> : <a {...more} href={href}>{all.slice(0, cutAt)}</a>
}

// Parted is a name that may go on in the next line behind what parts its words, and not within them.
export function Parted({ text }: { text: string }) {
	return <>{text.split(/(?<=[._/:@-])(?=\p{L})/u).map((part, i) => (i === 0 ? part : <Fragment key={i}><wbr />{part}</Fragment>))}</>
}

// Json is a value as it was sent, as text.
export function Json({ value }: { value: unknown }) {
	return <pre class="json" tabIndex={0} role="group" aria-label="JSON">{textOf(value)}</pre>
}

export function Facts({ children }: { children: ComponentChildren }) {
	return <dl class="facts">{children}</dl>
}
export function Fact({ name, children }: { name: string; children: ComponentChildren }) {
	return <div><dt>{name}</dt><dd>{children}</dd></div>
}

export function Title({ children, of, side }: { children: ComponentChildren; of?: ComponentChildren; side?: ComponentChildren }) {
	return <header class="title"><div>{of && <nav class="of" aria-label={t.above}>{of}</nav>}<h1 tabIndex={-1} data-focus="title">{children}</h1></div>{side && <div class="side">{side}</div>}</header>
}

export function Tabs({ all, now, href }: { all: [string, string][]; now: string; href: (tab: string) => string }) {
	return <nav class="tabs" aria-label={t.tabs}>{all.map(([id, name]) => <a key={id} href={href(id)} aria-current={id === now ? 'page' : undefined}>{name}</a>)}</nav>
}
