// Can I trust it?
import { segment, url, useGet } from '../api'
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
import { OperationPage, Operations } from './operations'

export function System() {
	const s = place.value.segments
	return s[1] === 'operations' && s[2] !== undefined ? <><OperationPage id={s[2]} /><Moments of={[{ path: `/api/v1/operations/${segment(s[2])}`, views: ['operations'] }]} stream={`operation/${s[2]}`} /></> : <Now />
}

function Now() {
	const views = useGet<Page<ViewStatus>>('/api/v1/views', { views: ['log'] })
	const reactors = useGet<{ reactors: Reactor[] }>('/api/v1/reactors', { views: ['workflow_runs'] })
	return (
		<>
			<Title>{t.system}</Title>
			<p>{liveText(live.value)}</p>
			<Operations />
			<Moments of={[{ name: t.operations, path: url('/api/v1/operations', { limit: rowsMost }), views: ['operations'], id: o => o.operation_id, page: o => to(['system', 'operations', o.operation_id]), shows: only('kind', 'state', 'actor', 'ended_by', 'error') }]} prefix="operation/" note={t.systemIsNow} />
			{noCommands() && <p class="warn">{t.systemIsNow}</p>}
			<section><h2>{t.views}</h2>
				<Shown got={views}>{p => (
					<div class="scroll-x" tabIndex={0} role="group" aria-label={t.views}><table><thead><tr><th>{t.view}</th><th>{t.state}</th><th class="num">{t.lag}</th><th class="num">{t.folded}</th><th>{t.cut}</th></tr></thead>
						<tbody>{p.items.map(v => <tr key={v.view} class={v.error ? 'halted' : ''}><td>{v.view}</td><td><State of={v.error ? 'halted' : v.lag_events > 0 ? 'lagging' : 'ready'} />{v.error && <p class="bad wrap">{v.error} {haltedAt(v.error) && <Position at={haltedAt(v.error)} />}</p>}</td><td class="num">{count(v.lag_events)}</td><td class="num">{count(v.inputs)}</td><td class="mono dim ellipsis" title={v.cut}>{v.cut}</td></tr>)}</tbody></table></div>
				)}</Shown>
			</section>
			<section><h2>{t.reactors}</h2>
				<Shown got={reactors}>{r => (
					<div class="scroll-x" tabIndex={0} role="group" aria-label={t.reactors}><table><thead><tr><th>{t.reactor}</th><th>{t.state}</th><th class="num">{t.lag}</th><th class="num">{t.handled}</th><th class="num">{t.failed}</th><th class="num">{t.deadLetters}</th></tr></thead>
						<tbody>{r.reactors.map(x => <tr key={x.reactor}><td>{x.reactor} {!x.here && <span class="dim">{t.elsewhere}</span>}</td><td>{x.error ? <><State of="failed" /> <span class="bad wrap">{x.error}</span></> : <State of={x.lag > 0 ? 'lagging' : 'ready'} />}</td><td class="num">{count(x.lag)}</td><td class="num">{count(x.handled_total)}</td><td class="num">{count(x.failed_total)}</td><td class="num">{count(x.dead_lettered_total)}</td></tr>)}</tbody></table></div>
				)}</Shown>
			</section>
		</>
	)
}

const haltedAt = (error: string): string => /halted at (\S+@\d+)/.exec(error)?.[1] ?? ''
