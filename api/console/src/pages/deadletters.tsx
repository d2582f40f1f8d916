// What reactors have given up on, and what is done about it.
import { useState } from 'preact/hooks'
import { command, segment, then } from '../api'
import { Confirm } from '../confirm'
import { announce } from '../keys'
import { Cut, Position, State, Stream, Time } from '../parts/bits'
import { Listed, usePaged } from '../parts/paged'
import { News } from '../parts/states'
import { place, set } from '../router'
import { t } from '../text'
import { noCommands } from '../timebar'
import type { DeadLetter } from '../types'

const states = ['open', 'retried', 'dropped'] as const

export function Dead() {
	const state = place.value.params.get('state') ?? ''
	const got = usePaged<DeadLetter>(then('/api/v1/dead-letters', { limit: 100, state }), { views: ['dead_letters'], hold: true })
	const [dropping, setDropping] = useState<DeadLetter | null>(null)
	const [retrying, setRetrying] = useState<DeadLetter | null>(null)
	const off = noCommands()
	const tried = (d: DeadLetter, is: DeadLetter) => {
		announce(is.state === 'open' ? `${d.reactor}: ${is.error}` : `${d.reactor}: ${t.letterRetried}`)
		got.again()
	}
	const event = (d: DeadLetter) => d.position ?? d.event_id ?? ''
	return (
		<>
			<nav class="tabs" aria-label={t.state}>{['', ...states].map(s => <button key={s} type="button" aria-pressed={state === s} onClick={() => set({ state: s })}>{s === '' ? t.all : t[s as (typeof states)[number]]}</button>)}</nav>
			<News n={got.news} show={got.again} />
			<Listed list={got} why={state === '' ? t.noDeadLetters : t.nothingFound}>{rows => (
				<div class="scroll-x" tabIndex={0} role="group" aria-label={t.deadLetters}><table><thead><tr><th>{t.state}</th><th>{t.reactor}</th><th>{t.event}</th><th>{t.reason}</th><th>{t.started}</th><th /></tr></thead>
					<tbody>{rows.map(d => (
						<tr key={d.dead_letter_id} data-letter={d.dead_letter_id}><td><State of={d.state} />{d.resolved_by && <div class="dim"><Cut text={d.resolved_by} /> <Time at={d.resolved_millis} /> <Cut text={d.resolved_reason} /></div>}</td><td>{d.reactor}<div class="dim">{t.attempts(d.attempts)}</div></td>
							<td>{d.position && <Position at={d.position} />}<div><Stream name={`dead-letter/${d.dead_letter_id}`} /></div></td><td><Cut text={d.error} tone="bad" /></td><td><Time at={d.created_millis} /></td>
							<td>{d.state === 'open' && <span class="buttons"><button type="button" data-focus={`retry-${d.dead_letter_id}`} disabled={off !== ''} title={off} onClick={() => setRetrying(d)}>{t.retryLetter}…</button><button type="button" data-focus={`drop-${d.dead_letter_id}`} disabled={off !== ''} title={off} onClick={() => setDropping(d)}>{t.dropLetter}…</button></span>}</td></tr>
					))}</tbody></table></div>
			)}</Listed>
			{retrying && <Confirm title={`${t.retryLetter}: ${retrying.reactor}`} does={t.retryLetter} what={<p>{t.retryLetterWhat(retrying.reactor, event(retrying))}</p>} close={() => setRetrying(null)} done={is => tried(retrying, is as DeadLetter)} look={got.again} act={(_, key) => command('POST', `/api/v1/dead-letters/${segment(retrying.dead_letter_id)}/retry`, {}, { key })} />}
			{dropping && <Confirm title={`${t.dropLetter}: ${dropping.reactor}`} does={t.dropLetter} what={<p>{t.dropWhat(dropping.reactor, event(dropping))}</p>} reason="needed" close={() => setDropping(null)} done={got.again} look={got.again} act={(reason, key) => command('POST', `/api/v1/dead-letters/${segment(dropping.dead_letter_id)}/drop`, { reason }, { key })} />}
		</>
	)
}
