// Is what serves good, quick, and fed as it was trained?
import { useMemo } from 'preact/hooks'
import { endOf, then, url, useGet } from '../api'
import { Chart, type Curve } from '../chart'
import { count, figure } from '../format'
import { Cut, Position, Time, Title } from '../parts/bits'
import { Moments, only, rowsMost, servedShows } from '../parts/moments'
import { Empty, News, Shown } from '../parts/states'
import { knownAt, place, set, to } from '../router'
import { t } from '../text'
import { noCommands } from '../timebar'
import type { Deployment, DriftAlert, EngagedDay, Engaged, LatencySteps, Page } from '../types'

export function Serving() {
	const slots = useGet<{ items: Deployment[] }>(then('/api/v1/deployments'), { views: ['deployments', 'models'] })
	// A year is held against itself where both moments are known to be behind its first day; else the last days of each.
	const year = new Date(Date.now() - 365 * 86_400_000).toISOString().slice(0, 10)
	const tail = [knownAt.value, place.value.params.get('vs_known_at') ?? ''].some(m => m !== '' && m !== 'now' && !(endOf(m) > Date.parse(year)))
	return (
		<>
			<Title>{t.serving}</Title>
			<section><h2>{t.slots}</h2>
				<Shown got={slots} rows={2}>{d => d.items.length === 0 ? <Empty why={t.noDeployment} command="projectionist workflows run movie_training_pipeline" /> : <Slots items={d.items} />}</Shown>
			</section>
			<Moments of={[
				{ name: t.slots, path: '/api/v1/deployments', views: ['deployments', 'models'], id: d => d.slot, shows: servedShows },
				{ name: t.whatCame, path: url('/api/v1/engagement', { from: tail ? '' : year }), tail, views: ['recommendations', 'users'], items: a => a.days ?? [], id: d => [d.day, d.model_name, d.model_version].filter(Boolean).join(' '), shows: only('lists', 'lists_taken_up', 'films_liked', 'films_disliked', 'films_met') },
				{ name: t.drift, path: url('/api/v1/drift/alerts', { limit: rowsMost }), views: ['drift'], id: d => d.position, shows: only('model_name', 'model_version', 'drift_score', 'threshold') },
			]} prefix="model/" note={t.latencyIsNow} />
			<Good />
			<Quick />
			<Drift />
			<Past />
		</>
	)
}

function Slots({ items }: { items: Deployment[] }) {
	const off = noCommands()
	return (
		<div class="scroll-x" tabIndex={0} role="group" aria-label={t.slots}><table class="roomy"><thead><tr><th>{t.slot}</th><th>{t.model}</th><th>{t.sinceWhen}</th><th>{t.actor}</th><th>{t.reason}</th><th>{t.insteadOf}</th><th>{t.event}</th><th /></tr></thead>
			<tbody>{items.map(d => <tr key={d.slot} class="keep"><td>{d.slot}</td><td><Cut tone="big" href={to(['models', d.model, d.version])} text={`${d.model} ${d.version}`} /></td><td><Time at={d.event_millis} /></td><td><Cut text={d.actor} /></td><td><Cut text={d.reason} tone="dim" /></td><td>{d.previous_version ? <Cut href={to(['models', d.previous_model ?? d.model, d.previous_version])} text={`${d.previous_model ?? d.model} ${d.previous_version}`} /> : '–'}</td><td><Position at={d.position} /></td><td>{off === '' ? <a class="button" href={to(['models', d.model])}>{t.deployAnother}</a> : <span class="dim">{off}</span>}</td></tr>)}</tbody></table></div>
	)
}

const spans = ['7', '30', '90', '365']

// wilson is the 95 % interval of a share of n (Wilson 1927).
function wilson(share: number, n: number): [number, number] {
	const z = 1.96
	const middle = (share + (z * z) / (2 * n)) / (1 + (z * z) / n)
	const half = (z / (1 + (z * z) / n)) * Math.sqrt((share * (1 - share)) / n + (z * z) / (4 * n * n))
	return [share === 0 ? 0 : middle - half, share === 1 ? 1 : middle + half]
}

interface Together { name: string; model: string; version: number; lists: number; taken: number; liked: number; disliked: number; met: number; hits: number; first: string; last: string }

// Good is what came of lists, by version.
function Good() {
	const days = spans.find(s => s === place.value.params.get('days')) ?? '30'
	const until = knownAt.value // of a moment, the API knows until when
	const from = useMemo(() => new Date(Date.now() - (Number(days) - 1) * 86_400_000).toISOString().slice(0, 10), [days])
	const got = useGet<{ days: EngagedDay[]; total: Engaged }>(then('/api/v1/engagement', until === '' ? { from } : {}), { views: ['recommendations', 'users'], hold: true })
	const versions = useMemo(() => {
		const of = new Map<string, Together>()
		for (const d of got.data?.days ?? []) {
			const name = d.model_name ? `${d.model_name} ${d.model_version ?? ''}` : t.counting
			const v = of.get(name) ?? { name, model: d.model_name ?? '', version: d.model_version ?? 0, lists: 0, taken: 0, liked: 0, disliked: 0, met: 0, hits: 0, first: d.day, last: d.day }
			of.set(name, { ...v, lists: v.lists + d.lists, taken: v.taken + d.lists_taken_up, liked: v.liked + d.films_liked, disliked: v.disliked + d.films_disliked, met: v.met + d.films_met, hits: v.hits + (d.hit_rate_at?.['10'] ?? 0) * d.films_met, first: d.day < v.first ? d.day : v.first, last: d.day > v.last ? d.day : v.last })
		}
		return [...of.values()].filter(v => v.lists > 0 || v.met > 0).sort((a, b) => (a.last < b.last ? 1 : a.last > b.last ? -1 : b.version - a.version))
	}, [got.data, t.counting])
	const share = (k: number, n: number) => {
		if (n === 0) return '–'
		const [low, high] = wilson(k / n, n)
		return <>{figure(k / n)} <span class="dim">[{figure(low)}, {figure(high)}]</span></>
	}
	return (
		<section><h2>{t.whatCame}</h2>
			{until === '' && <nav class="tabs" aria-label={t.window}>{spans.map(s => <button key={s} type="button" aria-pressed={s === days} onClick={() => set({ days: s === '30' ? '' : s })}>{t.lastDays(s)}</button>)}</nav>}
			<News n={got.news} show={got.again} />
			<Shown got={got} rows={3}>{() => versions.length === 0 ? <p class="dim">{t.noLists}</p> : (
				<div class="scroll-x" tabIndex={0} role="group" aria-label={t.whatCame}><table class="roomy"><thead><tr><th>{t.version}</th><th class="num">{t.lists}</th><th class="num">{t.clickRate}</th><th class="num">{t.satisfaction}</th><th class="num">{t.met}</th><th class="num">hr@10</th><th>{t.days}</th></tr></thead>
					<tbody>{versions.map(v => <tr key={v.name}><td>{v.model ? <Cut href={to(['models', v.model, v.version])} text={v.name} /> : v.name}</td><td class="num">{count(v.lists)}</td><td class="num">{share(v.taken, v.lists)}</td><td class="num">{share(v.liked, v.liked + v.disliked)}</td><td class="num">{count(v.met)}</td><td class="num">{share(v.hits, v.met)}</td><td class="dim">{v.first === v.last ? v.first : `${v.first} … ${v.last}`}</td></tr>)}</tbody></table></div>
			)}</Shown>
			<p class="dim">{t.intervalWhat} <a href={to(['quality'])}>{t.quality}</a> · <a href={to(['events', 'movie-recommendations'])}>{t.allLists}</a></p>
		</section>
	)
}

const minutes = ['60', '360', '1440']

interface Latencies { since: string; step_millis: number; operations: Record<string, LatencySteps> }

// Quick is how long rankings and ratings take. A process counts it: of the past nothing is known.
function Quick() {
	const span = minutes.find(m => m === place.value.params.get('minutes')) ?? '60'
	const past = knownAt.value !== ''
	const got = useGet<Latencies>(past ? null : `/api/v1/serving/latency?minutes=${span}`, { views: ['recommendations'] })
	const charts = useMemo(() => Object.entries(got.data?.operations ?? {}).filter(([, h]) => h.total.count > 0).map(([name, h]) => ({ name, total: h.total, curves: (['p50', 'p95', 'p99'] as const).map((q): Curve => ({ name: q, steps: h.steps.map(s => s.time_millis), values: h.steps.map(s => s[q]) })) })), [got.data])
	return (
		<section><h2>{t.latency}</h2>
			{past ? <p class="dim">{t.latencyIsNow}</p> : <>
				<nav class="tabs" aria-label={t.window}>{minutes.map(m => <button key={m} type="button" aria-pressed={m === span} onClick={() => set({ minutes: m === '60' ? '' : m })}>{t.lastHours(Number(m) / 60)}</button>)}</nav>
				<Shown got={got} rows={3}>{l => <>
					<p class="dim">{t.countedSince} <Time at={l.since} /> <button type="button" class="quiet" onClick={got.again}>{t.countAgain}</button></p>
					{charts.length === 0 ? <p class="dim">{t.noLatency}</p> : <>
						<table><thead><tr><th>{t.operation}</th><th class="num">{t.answers}</th><th class="num">p50 ms</th><th class="num">p95 ms</th><th class="num">p99 ms</th></tr></thead><tbody>{charts.map(c => <tr key={c.name}><td>{t.operationNames[c.name] ?? c.name}</td><td class="num">{count(c.total.count)}</td><td class="num">{figure(c.total.p50)}</td><td class="num">{figure(c.total.p95)}</td><td class="num">{figure(c.total.p99)}</td></tr>)}</tbody></table>
						<div class="charts">{charts.map(c => <Chart key={c.name} title={`${t.operationNames[c.name] ?? c.name} ms`} curves={c.curves} note={t.latencyNote} times />)}</div></>}
				</>}</Shown></>}
		</section>
	)
}

// Drift is how far what people do is from what the version was trained on.
function Drift() {
	const got = useGet<Page<DriftAlert>>(then('/api/v1/drift/alerts', { limit: 200 }), { views: ['drift'], hold: false })
	const curves = useMemo((): Curve[] => {
		const items = [...(got.data?.items ?? [])].reverse()
		const of = Map.groupBy(items, d => `${d.model_name} ${d.model_version ?? ''}`.trim())
		const drawn: Curve[] = [...of].slice(-5).map(([name, all]) => ({ name, steps: all.map(d => d.event_millis), values: all.map(d => d.drift_score) }))
		return [...drawn, { name: t.threshold, steps: items.map(d => d.event_millis), values: items.map(d => d.threshold) }]
	}, [got.data, t.threshold])
	return (
		<section><h2>{t.drift}</h2>
			<Shown got={got} rows={3}>{p => p.items.length === 0 ? <p class="dim">{t.noDrift} <a href={to(['workflows', 'serving_drift_check'])}>serving_drift_check</a></p> : <>
				{p.items.length > 1 && <div class="charts"><Chart title={t.driftScore} curves={curves} note={t.points(p.items.length)} times /></div>}
				<div class="scroll-x" tabIndex={0} role="group" aria-label={t.drift}><table class="roomy"><thead><tr><th>{t.eventTime}</th><th>{t.model}</th><th class="num">{t.driftScore}</th><th class="num">{t.threshold}</th><th>{t.parts}</th><th>{t.event}</th></tr></thead>
					<tbody>{p.items.slice(0, 50).map(d => <tr key={d.position}><td><Time at={d.event_millis} /></td><td>{d.model_version ? <Cut href={to(['models', d.model_name, d.model_version])} text={`${d.model_name} ${d.model_version}`} /> : <Cut href={to(['models', d.model_name])} text={d.model_name} />}</td><td class={d.drift_score >= d.threshold ? 'num bad' : 'num'}>{d.drift_score >= d.threshold ? '✕ ' : ''}{figure(d.drift_score)}</td><td class="num">{figure(d.threshold)}</td><td><Cut tone="dim" text={Object.entries(d.metrics ?? {}).map(([k, v]) => `${k} ${figure(v)}`).join(', ')} /></td><td><Position at={d.position} /></td></tr>)}</tbody></table></div></>}</Shown>
			<p class="dim">{t.featuresDrift} <a href={to(['features'])}>{t.features}</a></p>
		</section>
	)
}

// Past is what served before.
function Past() {
	const got = useGet<Page<Deployment>>(then('/api/v1/deployments/production/history', { limit: 100 }), { views: ['deployments', 'models'] })
	return (
		<section><h2>{t.lanes}</h2>
			<Shown got={got} rows={3}>{p => p.items.length === 0 ? <p class="dim">{t.none}</p> : (
				<ol class="entries">{p.items.map(d => <li key={d.position}><Time at={d.event_millis} /><Cut href={to(['models', d.model, d.version])} text={`${d.model} ${d.version}`} /><span class="what">{d.reason}</span><span class="dim from"><Position at={d.position} /> {d.actor}</span></li>)}</ol>
			)}</Shown>
		</section>
	)
}
