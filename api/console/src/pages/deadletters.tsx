// What reactors have given up on, and what is done about it.
import { useState } from 'preact/hooks'
import { command, Problem, segment, then, useGet } from '../api'
import { announce, Dialog } from '../keys'
import { Cut, Position, State, Stream, Time } from '../parts/bits'
import { Empty, Fault, News, Shown } from '../parts/states'
import { place, set } from '../router'
import { t } from '../text'
import { noCommands } from '../timebar'
import type { DeadLetter, Page } from '../types'

const states = ['open', 'retried', 'dropped'] as const

export function Dead() {
	const state = place.value.params.get('state') ?? ''
	const limit = Math.min(1000, Number(place.value.params.get('n') ?? 100) || 100)
	const got = useGet<Page<DeadLetter>>(then('/api/v1/dead-letters', { limit, state }), { views: ['dead_letters'], hold: true })
	const [dropping, setDropping] = useState<DeadLetter | null>(null)
	const [busy, setBusy] = useState('')
	const [problem, setProblem] = useState<Problem | null>(null)
	const off = noCommands()
	const retry = async (d: DeadLetter) => {
		setBusy(d.dead_letter_id)
		setProblem(null)
		try {
			const is = await command<DeadLetter>('POST', `/api/v1/dead-letters/${segment(d.dead_letter_id)}/retry`, {})
			announce(is.state === 'open' ? `${d.reactor}: ${is.error}` : `${d.reactor}: ${t.letterRetried}`)
		} catch (e) {
			setProblem(e instanceof Problem ? e : new Problem({ title: String(e) }))
		}
		setBusy('')
		got.again()
	}
	return (
		<>
			<nav class="tabs" aria-label={t.state}>{['', ...states].map(s => <button key={s} type="button" aria-pressed={state === s} onClick={() => set({ state: s })}>{s === '' ? t.all : t[s as (typeof states)[number]]}</button>)}</nav>
			<News n={got.news} show={got.again} />
			{problem && <Fault problem={problem} />}
			<Shown got={got}>{p => p.items.length === 0 ? <Empty why={state === '' ? t.noDeadLetters : t.nothingFound} /> : (
				<>
					<div class="scroll-x" tabIndex={0} role="group" aria-label={t.deadLetters}><table><thead><tr><th>{t.state}</th><th>{t.reactor}</th><th>{t.event}</th><th>{t.reason}</th><th>{t.started}</th><th /></tr></thead>
						<tbody>{p.items.map(d => (
							<tr key={d.dead_letter_id} data-letter={d.dead_letter_id}><td><State of={d.state} />{d.resolved_by && <div class="dim"><Cut text={d.resolved_by} /> <Time at={d.resolved_millis} /> <Cut text={d.resolved_reason} /></div>}</td><td>{d.reactor}<div class="dim">{t.attempts(d.attempts)}</div></td>
								<td>{d.position && <Position at={d.position} />}<div><Stream name={`dead-letter/${d.dead_letter_id}`} /></div></td><td><Cut text={d.error} tone="bad" /></td><td><Time at={d.created_millis} /></td>
								<td>{d.state === 'open' && <span class="buttons"><button type="button" disabled={busy !== '' || off !== ''} title={off} onClick={() => void retry(d)}>{t.retryLetter}</button><button type="button" data-focus={`drop-${d.dead_letter_id}`} disabled={busy !== '' || off !== ''} title={off} onClick={() => setDropping(d)}>{t.dropLetter}…</button></span>}</td></tr>
						))}</tbody></table></div>
					{p.next_cursor && limit < 1000 && <p><button type="button" onClick={() => set({ n: Math.min(1000, limit + 200) })}>{t.more}</button></p>}
				</>
			)}</Shown>
			{dropping && <Drop d={dropping} close={() => setDropping(null)} done={() => { setDropping(null); got.again() }} />}
		</>
	)
}

function Drop({ d, close, done }: { d: DeadLetter; close: () => void; done: () => void }) {
	const [reason, setReason] = useState('')
	const [busy, setBusy] = useState(false)
	const [problem, setProblem] = useState<Problem | null>(null)
	const act = async (e: Event) => {
		e.preventDefault()
		if (busy) return
		setBusy(true)
		try {
			await command('POST', `/api/v1/dead-letters/${segment(d.dead_letter_id)}/drop`, { reason })
			announce(`${d.reactor}: ${t.letterDropped}`)
			done()
		} catch (p) {
			setProblem(p instanceof Problem ? p : new Problem({ title: String(p) }))
			setBusy(false)
		}
	}
	return (
		<Dialog open close={close} title={`${t.dropLetter}: ${d.reactor}`}>
			<form onSubmit={e => void act(e)}>
				<p class="wrap">{t.dropWhat(d.reactor, d.position ?? d.event_id ?? '')}</p>
				<label>{t.reason}<input value={reason} required autofocus onInput={e => setReason(e.currentTarget.value)} /></label>
				{problem && <Fault problem={problem} />}
				<p class="buttons"><button type="submit" class="main" disabled={busy}>{t.dropLetter}</button> <button type="button" onClick={close}>{t.cancel}</button></p>
			</form>
		</Dialog>
	)
}
