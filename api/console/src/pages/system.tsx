// Can I trust it?
import { useState } from 'preact/hooks'
import { command, segment, url, useGet } from '../api'
import { Confirm } from '../confirm'
import { count } from '../format'
import { live as liveText } from '../parts/liveness'
import { Position, State, Title } from '../parts/bits'
import { Moments, only, rowsMost } from '../parts/moments'
import { Shown } from '../parts/states'
import { state as live } from '../live'
import { place, to } from '../router'
import { t } from '../text'
import { noCommands } from '../timebar'
import type { Page, Reactor, ViewStatus } from '../types'
import { LogSize, Nodes } from './nodes'
import { OperationPage, Operations } from './operations'

export function System() {
	const s = place.value.segments
	return s[1] === 'operations' && s[2] !== undefined ? <><OperationPage id={s[2]} /><Moments of={[{ path: `/api/v1/operations/${segment(s[2])}`, views: ['operations'] }]} stream={`operation/${s[2]}`} /></> : <Now />
}

function Now() {
	const views = useGet<Page<ViewStatus>>('/api/v1/views', { views: ['log'] })
	const reactors = useGet<{ reactors: Reactor[] }>('/api/v1/reactors', { views: ['workflow_runs'] })
	const [passing, setPassing] = useState<{ view: string; at: string } | null>(null)
	const off = noCommands()
	return (
		<>
			<Title>{t.system}</Title>
			<p>{liveText(live.value)}</p>
			<Operations />
			<Moments of={[{ name: t.operations, path: url('/api/v1/operations', { limit: rowsMost }), views: ['operations'], id: o => o.operation_id, page: o => to(['system', 'operations', o.operation_id]), shows: only('kind', 'state', 'actor', 'ended_by', 'error') }]} prefix="operation/" note={t.systemIsNow} />
			{off && <p class="warn">{t.systemIsNow}</p>}
			<section><h2>{t.views}</h2>
				<Shown got={views}>{p => (
					<div class="scroll-x" tabIndex={0} role="group" aria-label={t.views}><table><thead><tr><th>{t.view}</th><th>{t.state}</th><th class="num">{t.lag}</th><th class="num">{t.folded}</th><th>{t.cut}</th></tr></thead>
						<tbody>{p.items.map(v => <tr key={v.view} class={v.error ? 'halted' : ''}><td>{v.view}</td><td><State of={v.error ? 'halted' : v.lag_events > 0 ? 'lagging' : 'ready'} />{v.error && <p class="bad wrap">{v.error} {haltedAt(v.error) && <><Position at={haltedAt(v.error)} /> <button type="button" data-focus={`pass-${v.view}`} disabled={off !== ''} title={off} onClick={() => setPassing({ view: v.view, at: haltedAt(v.error ?? '') })}>{t.passOver}…</button></>}</p>}</td><td class="num">{count(v.lag_events)}</td><td class="num">{count(v.inputs)}</td><td class="mono dim ellipsis" title={v.cut}>{v.cut}</td></tr>)}</tbody></table></div>
				)}</Shown>
			</section>
			<section><h2>{t.reactors}</h2>
				<Shown got={reactors}>{r => (
					<div class="scroll-x" tabIndex={0} role="group" aria-label={t.reactors}><table><thead><tr><th>{t.reactor}</th><th>{t.state}</th><th class="num">{t.lag}</th><th class="num">{t.handled}</th><th class="num">{t.failed}</th><th class="num">{t.deadLetters}</th></tr></thead>
						<tbody>{r.reactors.map(x => <tr key={x.reactor}><td>{x.reactor} {!x.here && <span class="dim">{t.elsewhere}</span>}</td><td>{x.error ? <><State of="failed" /> <span class="bad wrap">{x.error}</span></> : <State of={x.lag > 0 ? 'lagging' : 'ready'} />}</td><td class="num">{count(x.lag)}</td><td class="num">{count(x.handled_total)}</td><td class="num">{count(x.failed_total)}</td><td class="num">{count(x.dead_lettered_total)}</td></tr>)}</tbody></table></div>
				)}</Shown>
			</section>
			<Nodes />
			<LogSize />
			{passing && <PassOver {...passing} close={() => setPassing(null)} done={() => { views.again(); reactors.again() }} />}
		</>
	)
}

// PassOver has a view go on behind a record that it cannot fold; all of them, behind a commit that this program cannot read.
function PassOver({ view, at, close, done }: { view: string; at: string; close: () => void; done: () => void }) {
	const [all, setAll] = useState(false)
	return (
		<Confirm title={t.passOverTitle(all ? t.allViews : view, at)} does={t.passOver} reason="needed" of={all} what={<p>{t.passOverWhat(all ? t.allViews : view, at)}</p>} close={close} done={done} look={done}
			act={(reason, key) => command('POST', `/api/v1/views/${segment(all ? '*' : view)}/skip`, { position: at, reason }, { key })}>
			{at.startsWith('mlops-events/') && <label class="check"><input type="checkbox" checked={all} onChange={e => setAll(e.currentTarget.checked)} /> {t.passOverAll}</label>}
		</Confirm>
	)
}

const haltedAt = (error: string): string => /halted at (\S+@\d+)/.exec(error)?.[1] ?? ''
