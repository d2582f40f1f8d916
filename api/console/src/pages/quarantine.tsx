// Records that could not be read, kept whole, and what is decided of each: another is published in its place, or nothing comes of it.
import { useState } from 'preact/hooks'
import { command, then } from '../api'
import { Confirm } from '../confirm'
import { count } from '../format'
import { Position, State, Time } from '../parts/bits'
import { Listed, usePaged } from '../parts/paged'
import { News } from '../parts/states'
import { place, set } from '../router'
import { t } from '../text'
import { noCommands } from '../timebar'
import type { Quarantined } from '../types'

const states = ['open', 'replaced', 'dropped'] as const

export function Quarantine() {
	const state = place.value.params.get('state') ?? ''
	const got = usePaged<Quarantined>(then('/api/v1/quarantine', { limit: 100, state }), { views: ['quarantine'], hold: true })
	const [asking, setAsking] = useState<{ q: Quarantined; how: 'replaced' | 'dropped' } | null>(null)
	const off = noCommands()
	const close = () => setAsking(null)
	return (
		<>
			<nav class="tabs" aria-label={t.state}>{['', ...states].map(s => <button key={s} type="button" aria-pressed={state === s} onClick={() => set({ state: s })}>{s === '' ? t.all : t[s as (typeof states)[number]]}</button>)}</nav>
			<News n={got.news} show={got.again} />
			{off && <p class="dim">{off}</p>}
			<Listed list={got} why={state === '' ? t.noQuarantine : t.nothingFound}>{rows => (
				<div class="scroll-x" tabIndex={0} role="group" aria-label={t.quarantine}><table><thead><tr><th>{t.state}</th><th>{t.position}</th><th>{t.topic}</th><th>{t.reason}</th><th>{t.recordedTime}</th><th /></tr></thead>
					<tbody>{rows.map(q => (
						<tr key={q.position} data-quarantined={q.position}><td><State of={q.state} />{q.decision && <div class="dim wrap">{q.decision.actor} <Time at={q.decision.event_millis} /> {q.decision.reason}{q.decision.by && <div><Position at={q.decision.by} /></div>}<div><Position at={q.decision.position} /></div></div>}</td>
							<td><Position at={q.position} />{q.refused ? <div class="dim">{t.refused} × {count(q.refused)}</div> : null}</td><td>{q.topic}</td><td class="bad wrap">{q.reason}</td><td><Time at={q.recorded_millis} /></td>
							<td>{q.state === 'open' && <span class="buttons"><button type="button" data-focus={`replace-${q.position}`} disabled={off !== '' || q.topic === 'mlops-events'} title={off || (q.topic === 'mlops-events' ? t.notReplaced : '')} onClick={() => setAsking({ q, how: 'replaced' })}>{t.replaceRecord}…</button><button type="button" data-focus={`drop-${q.position}`} disabled={off !== ''} title={off} onClick={() => setAsking({ q, how: 'dropped' })}>{t.dropLetter}…</button></span>}</td></tr>
					))}</tbody></table></div>
			)}</Listed>
			{asking?.how === 'dropped' && <Confirm title={`${t.dropLetter}: ${asking.q.position}`} does={t.dropLetter} what={<p>{t.dropRecordWhat(asking.q.position)}</p>} reason="needed" close={close} done={got.again} look={got.again} act={(reason, key) => resolve(asking.q, { resolution: 'dropped', reason }, { key })} />}
			{asking?.how === 'replaced' && <Replace q={asking.q} close={close} look={got.again} />}
		</>
	)
}

const resolve = (q: Quarantined, body: unknown, more: { key: string; raw?: boolean }) => command('POST', `/api/v1/quarantine/records/${q.position}`, body, more)

// textOf is what a record holds, where that is text.
function textOf(base64: string | null): string {
	try {
		return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(atob(base64 ?? ''), c => c.charCodeAt(0)))
	} catch {
		return ''
	}
}

function Replace({ q, close, look }: { q: Quarantined; close: () => void; look: () => void }) {
	const [value, setValue] = useState(() => textOf(q.value))
	let parsed: unknown
	try {
		parsed = JSON.parse(value)
	} catch {
		// it is said below
	}
	return (
		<Confirm title={`${t.replaceRecord}: ${q.position}`} does={t.replaceRecord} of={value} off={parsed === undefined} reason="welcome" close={close} done={look} look={look}
			what={<><p class="bad wrap">{q.reason}</p><p>{t.replaceRecordWhat(q.topic, q.position)}</p></>} act={(reason, key) => resolve(q, rawBody(value, reason), { key, raw: true })}>
			<label>{t.value}<textarea name="value" class="mono" rows={8} spellcheck={false} required autofocus value={value} onInput={e => setValue(e.currentTarget.value)} /></label>
			{parsed === undefined && <p class="bad" role="status">{t.notJson}</p>}
		</Confirm>
	)
}

// rawBody keeps the value as it was typed: no number of it is rounded.
const rawBody = (value: string, reason: string) => `{"resolution":"replaced","reason":${JSON.stringify(reason)},"value":${value}}`
