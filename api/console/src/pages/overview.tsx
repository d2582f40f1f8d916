// Is it healthy? What is new?
import { useEffect, useRef } from 'preact/hooks'
import { ask, type Got, url, useGet, then, type Problem } from '../api'
import { count, duration, figure } from '../format'
import { Cut, Fact, Facts, Position, State, Time, Title } from '../parts/bits'
import { Moments, only, rowsMost, servedShows } from '../parts/moments'
import { Empty, News, Shown } from '../parts/states'
import { knownAt, to } from '../router'
import { state as live } from '../live'
import { seen } from '../settings'
import { t } from '../text'
import { type Histogram, moment } from '../timebar'
import type { AuditEntry, DeadLetter, Deployment, Page, Progress, QualityCurve, Reactor, ViewStatus } from '../types'
import { EntryList } from './entries'
import { Ahead } from './quality'

// useReadiness asks again when the server tells that it is ready or is not: of a view that halts there is no event.
function useReadiness<T>(got: Got<T>): Got<T> {
	const word = `${live.value.ready} ${live.value.reason}`
	const asked = useRef(word)
	useEffect(() => {
		if (asked.current === word) return
		asked.current = word
		got.again()
	}, [word])
	return got
}

function Readiness() {
	const got = useReadiness(useGet<{ status: string; degraded?: { field: string; message: string; hint?: string }[] }>('/readyz', { views: ['views', 'deployments', 'models'] }))
	const problem: Problem | undefined = got.problem
	if (problem?.status === 503) {
		return (
			<section class="card bad-edge"><h2><State of="failed" bare /> {t.notReady}</h2>
				<ul class="plain-list">{(problem.errors.length > 0 ? problem.errors : [{ message: problem.detail, hint: problem.hint }]).map((e, i) => <li key={i}><b>{'field' in e ? e.field : ''}</b> {e.message}{e.hint && <p class="hint">{e.hint}</p>}</li>)}</ul>
				<p><button type="button" onClick={got.again}>{t.retry}</button></p>
			</section>
		)
	}
	return (
		<section class="card"><Shown got={got} rows={1}>{r => <><h2><State of="ready" bare /> {t.ready}</h2>{r.degraded?.map((d, i) => <p key={i} class="warn">{d.field}: {d.message}{d.hint && <span class="hint"> {d.hint}</span>}</p>)}</>}</Shown></section>
	)
}

function Serving() {
	const got = useGet<{ items: Deployment[] }>(then('/api/v1/deployments'), { views: ['deployments', 'models'] })
	return (
		<section class="card"><h2>{t.serving}</h2>
			<Shown got={got} rows={2}>{d => d.items.length === 0
				? <Empty why={t.noDeployment} command="projectionist workflows run movie_training_pipeline" />
				: <ul class="plain-list">{d.items.map(i => <li key={i.slot}><span class="dim">{i.slot}</span> <Cut tone="big" href={to(['models', i.model, i.version])} text={`${i.model} ${i.version}`} /> <Time at={i.event_millis} /> <Cut tone="dim" text={`${i.actor ?? ''}${i.previous_version ? ` · ${t.insteadOf} ${i.previous_model ?? i.model} ${i.previous_version}` : ''}`} /> <Position at={i.position} /></li>)}</ul>}</Shown>
		</section>
	)
}

function Trouble() {
	const views = useReadiness(useGet<Page<ViewStatus>>('/api/v1/views', { views: ['views'] }))
	const dead = useGet<Page<DeadLetter>>(then('/api/v1/dead-letters', { state: 'open', limit: 100 }), { views: ['dead_letters'] })
	const quarantine = useGet<{ topics: Record<string, number>; refused: Record<string, number> }>(then('/api/v1/quarantine/counts'), { views: ['quarantine'] })
	const sum = (m: Record<string, number>) => Object.values(m).reduce((a, b) => a + b, 0)
	return (
		<section class="card"><h2>{t.trouble}</h2>
			<Facts>
				<Fact name={t.viewsHalted}><Shown got={views} rows={1}>{v => { const h = v.items.filter(i => i.error); return <><a href={to(['system'])} class={h.length > 0 ? 'bad' : ''}>{h.length}</a> <span class="dim">/ {v.items.length}</span></> }}</Shown></Fact>
				<Fact name={t.deadLetters}><Shown got={dead} rows={1}>{d => <a href={to(['events'], { tab: 'dead' })} class={d.items.length > 0 ? 'bad' : ''}>{d.items.length}{d.next_cursor ? '+' : ''}</a>}</Shown></Fact>
				<Fact name={t.quarantine}><Shown got={quarantine} rows={1}>{q => <a href={to(['events'], { tab: 'quarantine' })} class={sum(q.topics) > 0 ? 'warn' : ''}>{count(sum(q.topics))}</a>}</Shown></Fact>
				<Fact name={t.refused}><Shown got={quarantine} rows={1}>{q => count(sum(q.refused))}</Shown></Fact>
			</Facts>
		</section>
	)
}

function AtWork() {
	const got = useGet<{ reactors: Reactor[]; tasks: Progress[] }>('/api/v1/reactors', { views: ['workflow_runs'] })
	return (
		<section class="card"><h2>{t.atWork}</h2>
			<Shown got={got} rows={1}>{r => r.tasks.length === 0
				? <p class="dim">{t.nothingAtWork}</p>
				: <ul class="plain-list">{r.tasks.map(k => <li key={k.workflow_run + k.task}><State of="running" bare /> <a href={to(['workflows', 'runs', k.workflow_run])}>{k.workflow} · {k.task}</a> <span class="dim">{k.stage}</span> {k.of > 0 && <progress max={k.of} value={k.done} aria-label={k.task} />} <span class="dim">{duration(Date.now() - Date.parse(k.started))}</span></li>)}</ul>}</Shown>
		</section>
	)
}

// Pulse is how well what serves foresaw the newest acts, and how much the log has taken of late.
const newest = 500
const span = 600_000

function Pulse() {
	const score = useGet<QualityCurve>(then(url('/api/v1/quality', { window: newest, last: 1 })), { views: ['quality'] })
	const at = knownAt.value === '' ? Math.ceil(Date.now() / 60_000) * 60_000 : Date.parse(moment.value?.time ?? '')
	const rate = useGet<Histogram>(Number.isFinite(at) ? then(url('/api/v1/log/histogram', { from: new Date(at - span).toISOString(), to: new Date(at).toISOString(), buckets: 1 })) : null, { views: ['log'] })
	return (
		<section class="card"><h2><a href={to(['quality'])}>{t.quality}</a></h2>
			<Shown got={score} rows={2}>{c => {
				const w = c.windows.at(-1)
				const served = w?.sources.served
				if (!w || !served) return <p class="dim">{t.noQuality}</p>
				return <Facts><Fact name="hr@10 · ndcg@10"><b>{figure(served['hr@10'])} · {figure(served['ndcg@10'])}</b> <span class="dim">{t.lastActs(count(w.judged))}</span></Fact>{w.sources.popularity?.served_ahead && <Fact name={t.ahead}><Ahead a={w.sources.popularity.served_ahead} /></Fact>}</Facts>
			}}</Shown>
			{rate.data && <p class="dim">{t.recordsLately(count(rate.data.counts.reduce((a, b) => a + b, 0)), span / 60_000)}</p>}
		</section>
	)
}

// SinceSeen is what has happened since this browser was here last. It is told of now alone.
const before = seen.get()

function SinceSeen() {
	const got = useGet<Page<AuditEntry> & { facts?: Record<string, number> }>(before === '' || knownAt.value !== '' ? null : url('/api/v1/audit', { known_after: before, limit: 1000 }))
	const cut = live.value.cut
	useEffect(() => {
		if (cut !== '') seen.set(cut)
		else ask<{ cut: string }>('/api/v1/log/moment').then(m => seen.set(m.cut), () => undefined)
	}, [cut])
	if (before === '' || knownAt.value !== '' || got.problem) return null
	return (
		<section class="card"><h2>{t.sinceSeen}</h2>
			<Shown got={got} rows={1}>{p => {
				const kinds = Object.entries(Object.groupBy(p.items, e => e.type)).map(([k, l]) => [k, l?.length ?? 0] as const).sort((a, b) => b[1] - a[1]).slice(0, 5)
				return <Facts>{Object.entries(p.facts ?? {}).filter(([, n]) => n > 0).map(([topic, n]) => <Fact key={topic} name={topic}><a href={to(['events', topic])}>{count(n)}</a></Fact>)}{kinds.map(([k, n]) => <Fact key={k} name={k}><a href={to(['events', 'mlops-events'], { type: k })}>{count(n)}{p.next_cursor ? '+' : ''}</a></Fact>)}{p.items.length === 0 && <Fact name={t.events}>0</Fact>}</Facts>
			}}</Shown>
		</section>
	)
}

export function Overview() {
	const got = useGet<Page<AuditEntry>>(then(url('/api/v1/audit', { limit: 30 })), { views: ['log/mlops-events'], hold: true })
	return (
		<>
			<Title>{t.overview}</Title>
			<div class="cards"><Readiness /><Serving /><Trouble /><Pulse /><AtWork /><SinceSeen /></div>
			<Moments of={[
				{ name: t.serving, path: '/api/v1/deployments', views: ['deployments', 'models'], id: d => d.slot, shows: servedShows },
				{ name: t.deadLetters, path: url('/api/v1/dead-letters', { state: 'open', limit: rowsMost }), views: ['dead_letters'], id: d => d.dead_letter_id, shows: only('reactor', 'error', 'attempts', 'position') },
				{ name: t.quarantine, path: '/api/v1/quarantine/counts', views: ['quarantine'] },
			]} note={t.systemIsNow} />
			<section><h2>{t.latest} <News n={got.news} show={got.again} /></h2>
				<Shown got={got} rows={10}>{p => p.items.length === 0
					? <Empty why={t.emptyLog} command="projectionist serve --simulate users=200,movies=200,events=12000" />
					: <EntryList items={p.items} />}</Shown>
				<p><a href={to(['events', 'mlops-events'])}>{t.allEvents}</a></p>
			</section>
		</>
	)
}
