// Better than yesterday? How well what serves foresaw what people chose, just before it learned of it.
import { useMemo, useState } from 'preact/hooks'
import { ask, Problem, then, url, useGet } from '../api'
import { Chart, type Curve } from '../chart'
import { count, figure, millisOf, time } from '../format'
import { Cut, Fact, Facts, Position, Time, Title } from '../parts/bits'
import { Moments } from '../parts/moments'
import { Empty, Fault, News, Shown } from '../parts/states'
import { type Column, Table } from '../parts/table'
import { place, set, to } from '../router'
import { t } from '../text'
import type { Foreseen, JudgedAct, Page, QualityCurve, QualityWindow } from '../types'

const metrics = ['ndcg@10', 'hr@10', 'hr@1', 'hr@5', 'hr@20'] as const
type Metric = (typeof metrics)[number]
const windows = ['day', 'hour', '100', '500', '2000']
const curvesMost = 24
const served = 'served'

const versionOf = (w: { model_name?: string; model_version?: number }): string => (w.model_name ? `${w.model_name} ${w.model_version ?? ''}` : t.counting)

export function Quality() {
	const params = place.value.params
	const window = params.get('window') ?? 'day'
	const metric = metrics.find(m => m === params.get('metric')) ?? 'ndcg@10'
	const acts = /^\d+$/.test(window)
	const tail = acts || !(params.get('from') || params.get('to')) // the windows that are told are the last ones, of each moment others
	const path = url('/api/v1/quality', { window, ...(acts ? { last: 200 } : { from: params.get('from'), to: params.get('to') }) })
	const got = useGet<QualityCurve>(then(path), { views: ['quality', 'deployments'], hold: true })
	const opened = windowAt(got.data)
	const field = (name: string) => <label>{name === 'from' ? t.from : t.untilDay}<input class="mono" value={params.get(name) ?? ''} placeholder="2026-11-01" onChange={e => set({ [name]: e.currentTarget.value.trim(), at: '' })} /></label>
	return (
		<>
			<Title side={<News n={got.news} show={got.again} />}>{t.quality}</Title>
			<p class="dim">{t.qualityWhat}</p>
			<form class="filters" onSubmit={e => e.preventDefault()}>
				<label>{t.window}<select data-filter="" data-focus="window" value={window} onChange={e => set({ window: e.currentTarget.value === 'day' ? '' : e.currentTarget.value, at: '', ...(/^\d/.test(e.currentTarget.value) ? { from: '', to: '' } : {}) })}>{[...new Set([...windows, window])].map(w => <option key={w} value={w}>{w === 'day' ? t.byDay : w === 'hour' ? t.byHour : t.byActs(w)}</option>)}</select></label>
				<label>{t.metric}<select data-focus="metric" value={metric} onChange={e => set({ metric: e.currentTarget.value === 'ndcg@10' ? '' : e.currentTarget.value })}>{metrics.map(m => <option key={m}>{m}</option>)}</select></label>
				{!acts && field('from')}{!acts && field('to')}
			</form>
			<Moments of={[{ path, views: ['quality', 'deployments'], tail, items: c => [...(tail ? [] : [{ ...c.total, total: true }]), ...(c.windows ?? [])], id: w => (w.total ? t.sum : keyOf(w as QualityWindow)), shows: w => ({ judged: w.judged, acts: w.acts, [served]: w.sources?.[served]?.[metric], popularity: w.sources?.popularity?.[metric] }) }]} prefix="model/" />
			<Shown got={got} rows={10}>{c => c.windows.length === 0 ? <Empty why={t.noQuality} command="projectionist feedback 1 42 --type like" /> : <><Totals c={c} /><Curves c={c} metric={metric} /><Windows c={c} metric={metric} /></>}</Shown>
			<Acts key={opened && `${keyOf(opened)} ${opened.judged}`} of={opened} />
		</>
	)
}

// The window that is opened, by when it begins and of which version.
const keyOf = (w: QualityWindow): string => `${w.first_act ?? w.from ?? ''} ${w.model_name ?? ''} ${w.model_version ?? ''}`
const windowAt = (c: QualityCurve | undefined): QualityWindow | undefined => c?.windows.find(w => keyOf(w) === place.value.params.get('at'))

function Totals({ c }: { c: QualityCurve }) {
	const all = c.total
	const of = (s: Foreseen | undefined) => (s ? `${figure(s['hr@10'])} · ${figure(s['ndcg@10'])}` : '–')
	return (
		<Facts>
			<Fact name={t.judged}>{count(all.judged)} <span class="dim">/ {count(all.acts)}</span></Fact>
			<Fact name={`${t.serving} hr@10 · ndcg@10`}><b>{of(all.sources[served])}</b></Fact>
			{Object.entries(all.sources).filter(([s]) => s !== served).map(([name, s]) => <Fact key={name} name={`${name} hr@10 · ndcg@10`}>{of(s)} {s.served_ahead && <Ahead a={s.served_ahead} />}</Fact>)}
			{all.no_film > 0 && <Fact name={t.noFilm}>{count(all.no_film)}</Fact>}
		</Facts>
	)
}

// Ahead is by how much what served was better, with its 95 % interval.
// Ahead is how much better what serves foresaw than a source, with its interval.
export function Ahead({ a }: { a: { by: number; low: number; high: number } }) {
	return <span class={a.low > 0 ? 'ok' : a.high < 0 ? 'bad' : 'dim'} title={t.aheadWhat}>{a.by > 0 ? '+' : a.by < 0 ? '−' : '±'}{figure(Math.abs(a.by))} <span class="dim">[{figure(a.low)}, {figure(a.high)}]</span></span>
}

function Curves({ c, metric }: { c: QualityCurve; metric: Metric }) {
	const { curves, left } = useMemo(() => {
		const of = new Map<string, Curve>()
		const popularity = new Map<number, [number, number]>() // by the window, of all versions: the sum and how many
		for (const w of c.windows) {
			const at = millisOf(w.from)
			const name = versionOf(w)
			const curve = of.get(name) ?? { name, steps: [], values: [] }
			of.set(name, curve)
			curve.steps.push(at)
			curve.values.push(w.sources[served]?.[metric] ?? Number.NaN)
			const p = w.sources.popularity
			const sum = popularity.get(at) ?? [0, 0]
			if (p) popularity.set(at, [sum[0] + p[metric] * w.judged, sum[1] + w.judged])
		}
		const byLast = [...of.values()].sort((a, b) => (b.steps.at(-1) ?? 0) - (a.steps.at(-1) ?? 0))
		const baseline: Curve = { name: 'popularity', steps: [...popularity.keys()], values: [...popularity.values()].map(([s, n]) => s / n) }
		const all = [...byLast.slice(0, 1), ...(baseline.steps.length > 0 ? [baseline] : []), ...byLast.slice(1)]
		return { curves: all.slice(0, curvesMost), left: Math.max(0, all.length - curvesMost) }
	}, [c, metric, t.counting])
	const marks = useMemo(() => c.deployments.map(d => ({ at: millisOf(d.time), label: versionOf(d) })), [c])
	const pick = (at: number) => {
		const w = c.windows.findLast(x => millisOf(x.from) === at)
		if (w) set({ at: keyOf(w) })
	}
	return (
		<section class="charts wide-chart"><Chart title={metric} curves={curves} note={`${t.qualityNote}${left > 0 ? ` · ${t.leftOutCurves(left)}` : ''}`} height={260} times marks={marks} onPick={pick} />
			{c.deployments.length > 0 && <details><summary>{t.deployments} <span class="dim">{c.deployments.length}</span></summary><ul class="plain-list">{c.deployments.map(d => <li key={d.time}><Time at={d.time} /> {d.model_name ? <a href={to(['models', d.model_name, d.model_version])}>{versionOf(d)}</a> : versionOf(d)}</li>)}</ul></details>}
		</section>
	)
}

function Windows({ c, metric }: { c: QualityCurve; metric: Metric }) {
	const rows = useMemo(() => [...c.windows].reverse(), [c])
	const at = place.value.params.get('at')
	const columns: Column<QualityWindow>[] = [
		{ id: 'from', head: t.window, width: '150px', line: 1, cell: w => <button type="button" class="quiet link" tabIndex={-1} aria-pressed={keyOf(w) === at} onClick={() => set({ at: keyOf(w) === at ? '' : keyOf(w) })}>{time(millisOf(w.from), true)}</button> },
		{ id: 'version', head: t.version, width: 'minmax(90px, 1fr)', line: 1, cell: w => (w.model_name ? <a href={to(['models', w.model_name, w.model_version ?? ''])} tabIndex={-1}>{versionOf(w)}</a> : versionOf(w)) },
		{ id: 'judged', head: t.judged, width: '110px', num: true, cell: w => <>{count(w.judged)} <span class="dim">/ {count(w.acts)}</span></> },
		{ id: 'served', head: metric, width: '84px', num: true, line: 2, cell: w => figure(w.sources[served]?.[metric]) },
		{ id: 'popularity', head: 'popularity', width: '92px', num: true, line: 2, cell: w => figure(w.sources.popularity?.[metric]) },
		{ id: 'ahead', head: t.ahead, width: 'minmax(160px, 1fr)', cell: w => (w.sources.popularity?.served_ahead ? <Ahead a={w.sources.popularity.served_ahead} /> : '') },
	]
	return <section class="bounded"><h2>{t.windows}</h2><Table id="quality" of={metric} label={t.windows} rows={rows} columns={columns} keyOf={keyOf} href={(w: QualityWindow) => to(['quality'], { ...Object.fromEntries(place.value.params), at: keyOf(w) })} /></section>
}

// Acts are what a point of the curve is made of.
function Acts({ of: w }: { of: QualityWindow | undefined }) {
	const outcome = place.value.params.get('outcome') ?? 'missed'
	const at = w ? then('/api/v1/quality/acts', { ...(w.first_act ? { first_act: w.first_act, last_act: w.last_act } : { from: w.from, to: w.to }), model: w.model_name, version: w.model_name ? w.model_version : '', outcome: outcome === 'all' ? '' : outcome, limit: 100 }) : null
	const got = useGet<Page<JudgedAct>>(at)
	const [more, setMore] = useState<{ for: unknown; items: JudgedAct[]; next: string | undefined } | null>(null)
	const [problem, setProblem] = useState<Problem | null>(null)
	const [busy, setBusy] = useState(false)
	if (!w || at === null) return null
	const extra = more && more.for === got.data ? more : null
	const next = extra ? extra.next : got.data?.next_cursor
	const load = async () => {
		setBusy(true)
		try {
			const p = await ask<Page<JudgedAct>>(url(at, { cursor: next }))
			setMore({ for: got.data, items: [...(extra?.items ?? []), ...p.items], next: p.next_cursor })
			setProblem(null)
		} catch (e) {
			setProblem(e instanceof Problem ? e : new Problem({ title: String(e) }))
		}
		setBusy(false)
	}
	const all = [...(got.data?.items ?? []), ...(extra?.items ?? [])].filter(a => w.model_name || !a.model_name)
	const sources = [...new Set([served, ...all.flatMap(a => Object.keys(a.ranks))])].slice(0, 8)
	return (
		<section class="card" data-acts=""><h2>{t.factsAt} {time(millisOf(w.from), true)} · {versionOf(w)} <button type="button" class="quiet" onClick={() => set({ at: '' })}>{t.close}</button></h2>
			<nav class="tabs" aria-label={t.outcome}>{(['missed', 'hit', 'all'] as const).map(o => <button key={o} type="button" aria-pressed={o === outcome} onClick={() => set({ outcome: o === 'missed' ? '' : o })}>{{ missed: t.missed, hit: t.hit, all: t.all }[o]}</button>)}</nav>
			<Shown got={got} rows={4}>{() => all.length === 0 && !next ? <p class="dim">{t.none}</p> : (
				<div class="scroll-x" tabIndex={0} role="group" aria-label={t.factsAt}><table class="roomy"><thead><tr><th>{t.eventTime}</th><th>{t.person}</th><th>{t.film}</th><th>{t.type}</th>{sources.map(s => <th key={s} class="num">{t.rank} {s}</th>)}<th class="num">{t.standsFor}</th><th>{t.event}</th><th>{t.judgedBy}</th></tr></thead>
					<tbody>{all.map(a => <tr key={a.position}><td><Time at={a.time_millis} /></td><td>{a.user_id && <Cut href={to(['try'], { user: a.user_id })} text={a.user_id} />}</td><td>{a.movie_id && <Cut href={to(['films', a.movie_id])} text={a.movie_id} />}</td><td><Cut text={a.interaction_type} /></td>{sources.map(s => <td key={s} class="num">{a.ranks[s] === undefined ? '' : a.ranks[s] === 0 ? <span class="dim" title={t.noFilm}>–</span> : <>{a.ranks[s]}<span class="dim"> / {count(a.films)}</span></>}</td>)}<td class="num">{a.of}</td><td><Position at={a.position} /></td><td><Position at={a.judged.position} /></td></tr>)}</tbody></table></div>
			)}</Shown>
			{problem && <Fault problem={problem} />}
			{next && <p><button type="button" disabled={busy} onClick={() => void load()}>{t.more}</button></p>}
		</section>
	)
}
