// The bar under the header: all of the log by recorded time. Where the reader stands in it is known_at of the address.
import { signal } from '@preact/signals'
import { useEffect, useRef, useState } from 'preact/hooks'
import { ask, Problem, url, useGet } from './api'
import { millisOf, time, typed } from './format'
import { announce, Dialog, useKeys } from './keys'
import { asOf, knownAt, set } from './router'
import { t } from './text'

interface Mark { time: string; position: string; type: string; title: string; model?: string; version?: number }
export interface Histogram { from: string; to: string; bucket_millis: number; counts: number[]; marks: Mark[]; marks_left_out?: number }
interface Moment { cut: string; time: string | null; first_time: string | null; head: boolean }

const buckets = 240

// moment is the one that is looked at, as the server resolves it.
export const moment = signal<Moment | null>(null)
export const marks = signal<Mark[]>([])
const typing = signal<((moment: string) => void) | null>(null)

// compares asks for the moment that the page is held against, where a page can be.
export const compares = signal<(() => void) | null>(null)

// askMoment has the reader type a moment, which the server knows, for take.
export const askMoment = (take: (moment: string) => void) => { typing.value = take }
const goThere = (known_at: string) => set({ known_at })

const ledgerOf = (cut: string): number => Number(/mlops-events\/0:(\d+)/.exec(cut)?.[1] ?? Number.NaN)

// stepEvent goes one event of the ledger before or after.
async function stepEvent(by: number) {
	const here = await ask<Moment>(url('/api/v1/log/moment', { known_at: knownAt.peek() })).catch((e: Problem) => announce(e.detail || t.offline))
	if (!here) return
	const next = ledgerOf(here.cut) + by
	if (by > 0 && here.head) announce(t.atEnd)
	else if (next < 1) announce(t.beforeLog)
	else set({ known_at: `mlops-events/0@${next - 1}` })
}

function stepMark(by: number) {
	const here = moment.peek()?.time && knownAt.peek() ? millisOf(moment.peek()?.time) : Number.POSITIVE_INFINITY
	const all = marks.peek().map(m => ({ ...m, at: millisOf(m.time) })).sort((a, b) => a.at - b.at)
	const next = by < 0 ? all.findLast(m => m.at < here) : all.find(m => m.at > here)
	if (next) {
		set({ known_at: next.position })
		announce(`${next.title} · ${time(next.at)}`)
	} else if (by > 0 && knownAt.peek()) set({ known_at: '' })
	else announce(t.noMark)
}

export function TimeBar() {
	const known = knownAt.value
	const got = useGet<Histogram>(url('/api/v1/log/histogram', { buckets }), { views: ['log'] })
	const line = useRef<HTMLDivElement>(null)
	const [drag, setDrag] = useState<number | null>(null)
	const h = got.data
	const start = millisOf(h?.from)
	const end = h ? Math.max(millisOf(h.to), start + 1) : Number.NaN

	useEffect(() => {
		marks.value = h?.marks ?? []
	}, [h])
	useEffect(() => {
		const abort = new AbortController()
		if (known === '') moment.value = null
		else ask<Moment>(url('/api/v1/log/moment', { known_at: known }), abort.signal).then(m => { moment.value = m }, () => { if (!abort.signal.aborted) moment.value = null })
		return () => abort.abort()
	}, [known])
	useKeys([
		{ keys: 't', does: t.keyMoment, run: () => askMoment(goThere) },
		{ keys: 'n', does: t.keyNow, run: () => set({ known_at: '' }) },
		{ keys: '[', does: t.keyEventBefore, run: () => void stepEvent(-1) },
		{ keys: ']', does: t.keyEventAfter, run: () => void stepEvent(1) },
		{ keys: '{', does: t.keyMarkBefore, run: () => stepMark(-1) },
		{ keys: '}', does: t.keyMarkAfter, run: () => stepMark(1) },
	])

	// Dragging asks for the moment under the pointer, one request at a time; letting go makes it an entry of the history.
	const settle = useRef<ReturnType<typeof setTimeout>>(undefined)
	const under = (x: number): number => {
		const r = line.current?.getBoundingClientRect()
		return r ? start + Math.max(0, Math.min(1, (x - r.left) / r.width)) * (end - start) : Number.NaN
	}
	const choose = (at: number, replace: boolean) => set({ known_at: at >= Math.min(end, Date.now()) ? '' : new Date(Math.max(at, 1)).toISOString() }, replace)
	const down = (e: PointerEvent) => {
		if (!h || e.button !== 0) return
		line.current?.setPointerCapture(e.pointerId)
		choose(under(e.clientX), false)
		setDrag(under(e.clientX))
	}
	const moved = (e: PointerEvent) => {
		if (drag === null) return
		const at = under(e.clientX)
		setDrag(at)
		clearTimeout(settle.current)
		settle.current = setTimeout(() => choose(at, true), 80)
	}
	const up = (e: PointerEvent) => {
		if (drag === null) return
		clearTimeout(settle.current)
		choose(under(e.clientX), true)
		setDrag(null)
	}
	const shown = drag ?? (known === '' ? end : millisOf(moment.value?.time ?? (/^\d{4}-/.test(known) ? known : undefined)))
	const onKey = (e: KeyboardEvent) => {
		const size = h?.bucket_millis ?? 0
		const steps: Record<string, number> = { ArrowLeft: shown - size, ArrowRight: shown + size, PageUp: shown + 10 * size, PageDown: shown - 10 * size, Home: start, End: end }
		const at = steps[e.key]
		if (!h || at === undefined) return
		e.preventDefault()
		choose(Math.max(start, at), true)
	}

	const most = Math.max(1, ...(h?.counts ?? []))
	const width = h ? 1000 / Math.max(1, h.counts.length) : 0
	const x = (at: number) => `${Math.max(0, Math.min(100, ((at - start) / (end - start)) * 100))}%`
	const path = (h?.counts ?? []).map((n, i) => (n === 0 ? '' : `M${(i * width).toFixed(1)} 24v${(-Math.max(2, (Math.log1p(n) / Math.log1p(most)) * 22)).toFixed(1)}h${Math.max(0.8, width - 0.4).toFixed(1)}V24z`)).join('')
	return (
		<div class={known ? 'timebar then' : 'timebar'}>
			{h && Number.isFinite(start)
				? (
						<div class="line" ref={line} role="slider" tabIndex={0} data-focus="timebar" aria-label={t.timeBar} aria-valuemin={Math.round(start)} aria-valuemax={Math.round(end)} aria-valuenow={Math.round(Number.isFinite(shown) ? shown : end)} aria-valuetext={known === '' && drag === null ? t.now : time(shown)}
							onPointerDown={down} onPointerMove={moved} onPointerUp={up} onPointerCancel={() => setDrag(null)} onKeyDown={onKey}>
							<svg viewBox="0 0 1000 24" preserveAspectRatio="none" aria-hidden="true"><path d={path} /></svg>
							{h.marks.map(m => <i key={`${m.position}${m.type}`} class={`mark ${m.type.split('.')[0]}`} style={{ left: x(millisOf(m.time)) }} title={`${m.title} · ${time(millisOf(m.time))}`} />)}
							{Number.isFinite(shown) && <b class="here" style={{ left: x(shown) }} />}
						</div>
					)
				: <div class="line none">{got.problem ? <span class="dim">{t.noHistogram}: {got.problem.detail || got.problem.title || t.offline}</span> : h ? <span class="dim">{t.emptyLog}</span> : null}</div>}
			<div class="moment">
				{known
					? <><span class="asknown">{t.asKnown} <b>{Number.isFinite(shown) ? time(shown) : known}</b>{moment.value && ledgerOf(moment.value.cut) > 0 && <span class="dim"> mlops-events@{ledgerOf(moment.value.cut) - 1}</span>}</span> <button type="button" onClick={() => set({ known_at: '' })}>{t.now}</button></>
					: <button type="button" class="quiet" onClick={() => askMoment(goThere)}>{t.now}{h && Number.isFinite(start) ? <span class="dim wide-only"> · {t.since} {time(start, true)}</span> : null}</button>}
				{compares.value && <button type="button" class="quiet" data-focus="diff" title={t.keyDiff} onClick={() => compares.value?.()}>{t.differences} <kbd>d</kbd></button>}
				{asOf.value && <span class="asknown"> · {t.happened} <b>{asOf.value}</b> <button type="button" class="quiet" aria-label={`${t.happened}: ${t.all}`} onClick={() => set({ as_of: '' })}>✕</button></span>}
			</div>
			<MomentDialog />
		</div>
	)
}

// MomentDialog takes a moment as text: a time, a position or a cut.
function MomentDialog() {
	const [text, setText] = useState('')
	const [problem, setProblem] = useState('')
	const take = async (e: Event) => {
		e.preventDefault()
		try {
			await ask(url('/api/v1/log/moment', { known_at: typed(text) }))
		} catch (p) {
			setProblem(p instanceof Problem ? `${p.detail} ${p.hint}` : String(p))
			return
		}
		const taken = typing.peek()
		typing.value = null
		taken?.(typed(text))
		setText('')
	}
	return (
		<Dialog open={typing.value !== null} close={() => { typing.value = null }} title={t.keyMoment}>
			<form onSubmit={e => void take(e)}>
				<label>{t.momentForms}<input autofocus class="mono" value={text} placeholder="2026-11-17T09:00:00Z" onInput={e => { setText(e.currentTarget.value); setProblem('') }} aria-invalid={problem !== ''} aria-describedby="moment-fault" /></label>
				<p id="moment-fault" class="bad" role="alert">{problem}</p>
				<p class="buttons"><button type="submit" class="main" disabled={text.trim() === ''}>{t.goThere}</button> <button type="button" onClick={() => { const taken = typing.peek(); typing.value = null; taken?.('') }}>{t.now}</button></p>
			</form>
		</Dialog>
	)
}

// noCommands is why nothing can be changed: the page shows the past.
export const noCommands = (): string => (knownAt.value ? t.noCommandsThen : '')
