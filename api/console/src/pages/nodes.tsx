// Who works for this log, and who holds what; how much of the disk the log has.
import { then, useGet } from '../api'
import { bytes, count } from '../format'
import { Id, State, Time } from '../parts/bits'
import { Empty, Shown } from '../parts/states'
import { knownAt, to } from '../router'
import { t } from '../text'
import type { Lease, Nodes as All, Page, Topic } from '../types'

export function Nodes() {
	const got = useGet<All>(then('/api/v1/nodes'), { views: ['workflow_runs', 'operations'] })
	return (
		<section><h2>{t.nodes}</h2><p class="dim">{t.nodesWhat}</p>
			<Shown got={got} rows={3}>{p => p.items.length === 0 ? <Empty why={t.noNodes} /> : (
				<>
					<div class="scroll-x" tabIndex={0} role="group" aria-label={t.nodes}><table><thead><tr><th>{t.node}</th><th>{t.process}</th><th>{t.roles}</th><th>{t.heardFirst}</th><th>{t.heardLast}</th><th class="num">{t.holds}</th></tr></thead>
						<tbody>{p.items.flatMap(n => n.processes.slice(0, processesShown).map((x, i) => (
							<tr key={`${n.node} ${x.process}`} data-node={n.node}><td>{i === 0 && <Id id={n.node} />}{i === 0 && n.processes.length > processesShown && <div class="dim">{t.processesMore(n.processes.length - processesShown)}</div>}</td><td><Id id={x.process} /> {x.here && <b class="ok">{t.thisProcess}</b>}</td><td class="wrap">{x.roles.join(', ')}</td><td><Time at={x.first_millis} /></td><td><Time at={x.last_millis} /></td><td class="num">{count(n.holds.filter(h => h.process === x.process).length)}</td></tr>
						)))}</tbody></table></div>
					<p class="dim">{t.nodesLooked(p.runs_looked_at)}</p>
					<h2>{t.leases}</h2>
					{p.items.every(n => n.holds.length === 0) ? <p class="dim">{t.noLeases}</p> : (
						<div class="scroll-x" tabIndex={0} role="group" aria-label={t.leases}><table><thead><tr><th>{t.what}</th><th>{t.pool}</th><th>{t.process}</th><th>{t.role}</th><th>{t.sinceWhen}</th><th>{t.leaseUntil}</th></tr></thead>
							<tbody>{p.items.flatMap(n => n.holds.map(l => <tr key={`${l.workflow_run ?? l.operation} ${l.task ?? ''}`} data-lease={l.task ?? l.operation}><td><Held l={l} /></td><td>{l.pool ? <>{l.pool} <span class="dim">× {l.pool_slots}</span></> : ''}</td><td><Id id={n.node} /> <Id id={l.process} /></td><td>{l.role}</td><td><Time at={l.since_millis} /></td><td>{l.until_millis ? <Time at={l.until_millis} /> : <span class="dim">{t.untilItEnds}</span>}</td></tr>))}</tbody></table></div>
					)}
				</>
			)}</Shown>
		</section>
	)
}

const processesShown = 5

function Held({ l }: { l: Lease }) {
	if (l.kind === 'operation') return <><State of="running" /> <a href={to(['system', 'operations', l.operation ?? ''])}>{t.operationKind(l.work ?? '')}</a></>
	return <><State of="running" /> <a href={to(['workflows', 'runs', l.workflow_run ?? ''], { task: l.task })}>{l.workflow} {l.task}</a> <span class="dim">{t.try_} {l.try}</span></>
}

export function LogSize() {
	const got = useGet<Page<Topic>>(then('/api/v1/log/topics'), { views: ['log'] })
	const size = (k: Topic): number | undefined => (k.partitions.some(p => p.bytes === undefined) ? undefined : k.partitions.reduce((n, p) => n + (p.bytes ?? 0), 0))
	return (
		<section><h2>{t.logSize}</h2>{knownAt.value !== '' && <p class="dim">{t.sizeIsNow}</p>}
			<Shown got={got} rows={3}>{p => (
				<div class="scroll-x" tabIndex={0} role="group" aria-label={t.logSize}><table><thead><tr><th>{t.topic}</th><th class="num">{t.partition}</th><th class="num">{t.records}</th><th class="num">{t.size}</th></tr></thead>
					<tbody>{p.items.flatMap(k => [
						...k.partitions.map((q, i) => <tr key={`${k.topic} ${q.partition}`} data-partition={`${k.topic}/${q.partition}`}><td>{i === 0 && <a href={to(['events', k.topic])}>{k.topic}</a>}</td><td class="num">{q.partition}</td><td class="num">{count(q.records)}</td><td class="num">{q.bytes === undefined ? '–' : bytes(q.bytes)}</td></tr>),
						...(k.partitions.length > 1 ? [<tr key={k.topic} class="sum"><td /><td class="num dim">{t.sum}</td><td class="num">{count(k.records)}</td><td class="num">{size(k) === undefined ? '–' : bytes(size(k) ?? 0)}</td></tr>] : []),
					])}</tbody></table></div>
			)}</Shown>
			<p class="dim">{t.sizeWhat}</p>
		</section>
	)
}
