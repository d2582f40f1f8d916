// One run, and several beside each other.
import { useEffect, useMemo, useState } from 'preact/hooks'
import { ask, Problem, segment, then, useGet } from '../api'
import { Chart, type Curve } from '../chart'
import { bytes, duration, figure } from '../format'
import { Copy, Cut, Fact, Facts, Id, Parted, State, Stream, Time, Title } from '../parts/bits'
import { Moments } from '../parts/moments'
import { Empty, Fault, Shown, Skeleton } from '../parts/states'
import { place, to } from '../router'
import { t } from '../text'
import type { Run } from '../types'

const above = () => <a href={to(['runs'])}>{t.runs}</a>

interface Bucket { first_step: number; step: number; last: number | string; min: number | string; max: number | string; count: number }
interface Buckets { metric: string; bucket_steps: number; runs: { run_id: string; points: Bucket[] }[] }

// curveOf draws a bucket of several values through its least and its greatest: none that stands out is lost.
function curveOf(name: string, points: Bucket[]): Curve {
	const c: Curve = { name, steps: [], values: [] }
	const at = (step: number, v: number | string) => {
		c.steps.push(step)
		c.values.push(Number(v))
	}
	for (const p of points) {
		const span = Math.max(p.step - p.first_step, 0.01)
		if (p.count > 1) {
			at(p.step - span, p.min)
			at(p.step - span / 2, p.max)
		}
		at(p.step, p.last)
	}
	return c
}

// Curves are of one metric of some runs, read at once.
function Curves({ runs, metric }: { runs: Run[]; metric: string }) {
	const got = useGet<Buckets>(then('/api/v1/runs/metrics', { runs: runs.map(r => r.run_id).join(','), metric, buckets: 500 }), { views: ['runs'] })
	const curves = useMemo(() => got.data?.runs.map((c, i) => curveOf(runs.length === 1 ? metric : runs[i]?.name || c.run_id.slice(0, 8), c.points)).filter(c => c.steps.length > 1) ?? [], [got.data])
	if (got.data === undefined) return got.problem ? <Fault problem={got.problem} again={got.again} /> : <Skeleton rows={3} />
	const values = got.data.runs.reduce((n, r) => n + r.points.reduce((m, p) => m + p.count, 0), 0)
	return curves.length === 0 ? null : <Chart title={metric} curves={curves} note={got.data.bucket_steps > 1 ? t.bucketed(values, got.data.bucket_steps) : t.points(values)} />
}

const metricsOf = (runs: Run[]) => [...new Set(runs.flatMap(r => Object.keys(r.metrics ?? {})))].sort()

export function RunPage({ id }: { id: string }) {
	const got = useGet<Run>(then(`/api/v1/runs/${segment(id)}`), { views: ['runs'] })
	return (
		<Shown got={got} head={<Title of={above()}>{id}</Title>}>{r => (
			<>
				<Title of={above()} side={<><Copy text={r.run_id} label={t.copyId} /> <Stream name={`run/${r.run_id}`} /></>}>{r.name || r.run_id} <State of={r.status} /></Title>
				<Moments of={[{ path: `/api/v1/runs/${segment(id)}`, views: ['runs'] }]} stream={`run/${id}`} />
				{r.reason && <p class="bad prewrap">{r.reason}</p>}
				<Facts>
					<Fact name={t.started}><Time at={r.start_millis} /></Fact>
					<Fact name={t.duration}>{r.end_millis ? duration(r.end_millis - (r.start_millis ?? 0)) : '–'}</Fact>
					<Fact name={t.experiment}><a href={to(['runs'], { experiment: r.experiment_id })}><span class="mono">{r.experiment_id}</span></a></Fact>
					<Fact name={t.actor}>{r.user ?? r.actor ?? '–'}</Fact>
					{r.dataset_id && <Fact name={t.dataset}><Stream name={`dataset/${r.dataset_id}`} /></Fact>}
					{r.workflow_run && <Fact name={t.workflowRun}><Id id={r.workflow_run} href={to(['workflows', 'runs', r.workflow_run])} /></Fact>}
				</Facts>
				<div class="columns-2">
					<section><h2>{t.metrics}</h2><Pairs of={Object.fromEntries(Object.entries(r.metrics ?? {}).map(([k, m]) => [k, <span class="num" title={String(m.value)}>{figure(m.value)} <span class="dim">@{m.step}</span></span>]))} /></section>
					<section><h2>{t.params}</h2><Pairs of={r.params ?? {}} /></section>
				</div>
				<section class="charts">{metricsOf([r]).slice(0, 24).map(m => <Curves key={m} runs={[r]} metric={m} />)}</section>
				{Object.keys(r.tags ?? {}).length > 0 && <section><h2>{t.tags}</h2><Pairs of={r.tags ?? {}} /></section>}
				{(r.artifacts?.length ?? 0) > 0 && <section><h2>{t.files}</h2><div class="scroll-x" tabIndex={0} role="group" aria-label={t.files}><table><tbody>{r.artifacts?.map(a => <tr key={a.path}><td class="mono"><a href={`/api/v1/blobs/${segment(a.blob)}`} download={a.path.split('/').at(-1)}><Parted text={a.path} /></a></td><td class="num">{bytes(a.bytes)}</td><td><Time at={a.event_millis} /></td></tr>)}</tbody></table></div></section>}
			</>
		)}</Shown>
	)
}

function Pairs({ of }: { of: Record<string, preact.ComponentChildren> }) {
	const keys = Object.keys(of).sort()
	if (keys.length === 0) return <p class="dim">{t.none}</p>
	return <table class="pairs"><tbody>{keys.map(k => <tr key={k}><th scope="row" class="mono"><Parted text={k} /></th><td class="wrap">{of[k]}</td></tr>)}</tbody></table>
}

// useRuns reads some runs.
function useRuns(ids: string[]) {
	const [runs, setRuns] = useState<Run[] | null>(null)
	const [problem, setProblem] = useState<Problem | null>(null)
	const paths = ids.map(id => then(`/api/v1/runs/${segment(id)}`))
	useEffect(() => {
		const abort = new AbortController()
		Promise.all(paths.map(p => ask<Run>(p, abort.signal))).then(r => { setRuns(r); setProblem(null) }, (e: unknown) => { if (!abort.signal.aborted) setProblem(e instanceof Problem ? e : new Problem({ title: String(e) })) })
		return () => abort.abort()
	}, [paths.join(' ')])
	return { runs, problem }
}

const comparedMost = 8 // runs that are held against another moment

// Compare shows what differs, and curves of the same metric in one picture. The first run is what others are held against.
export function Compare() {
	const params = place.value.params
	const ids = useMemo(() => (params.get('sel') ?? '').split(',').filter(s => s !== ''), [params.get('sel')])
	const all = params.get('all') === '1'
	const { runs, problem } = useRuns(ids)
	if (ids.length < 2) return <><Title of={above()}>{t.compare}</Title><Empty why={t.selectTwo} /></>
	if (problem) return <><Title of={above()}>{t.compare}</Title><Fault problem={problem} /></>
	if (!runs) return <Skeleton />
	const rows = [...rowsOf(runs, 'params', r => r.params ?? {}), ...rowsOf(runs, 'metrics', r => Object.fromEntries(Object.entries(r.metrics ?? {}).map(([k, m]) => [k, m.value]))), ...rowsOf(runs, 'tags', r => r.tags ?? {})]
	const shown = rows.filter(r => all || r.differs)
	return (
		<>
			<Title of={above()} side={<a class="button" href={to(['runs', 'compare'], { sel: ids.join(','), all: all ? '' : '1' })}>{all ? t.onlyDifferences : t.showAll(rows.length)}</a>}>{t.compare}</Title>
			<div class="scroll-x" tabIndex={0} role="group" aria-label={t.differences}>
				<table class="compare"><thead><tr><th>{t.field}</th>{runs.map((r, i) => <th key={r.run_id}><Cut href={to(['runs', r.run_id])} text={r.name || r.run_id} />{i === 0 && <span class="dim"> {t.baseline}</span>}<br /><State of={r.status} /></th>)}</tr></thead>
					<tbody>{shown.length === 0 ? <tr><td class="dim" colSpan={runs.length + 1}>{t.noDifference}</td></tr> : shown.map(r => <tr key={r.name} class={r.differs ? 'changed' : ''}><th scope="row" class="mono"><div class="clamp" title={r.name}><Parted text={r.name} /></div></th>{r.values.map((v, i) => <td key={i} class={typeof v === 'number' ? 'num' : ''} title={typeof v === 'number' ? String(v) : undefined}>{typeof v === 'number' ? <>{figure(v)}{i > 0 && typeof r.values[0] === 'number' && v !== r.values[0] && <span class="dim"> {v > r.values[0] ? '+' : '−'}{figure(Math.abs(v - r.values[0]))}</span>}</> : v === undefined ? <span class="dim">–</span> : <Cut text={v} />}</td>)}</tr>)}</tbody>
				</table>
			</div>
			<Moments of={runs.slice(0, comparedMost).map(r => ({ name: r.name || r.run_id, path: `/api/v1/runs/${segment(r.run_id)}`, views: ['runs'] }))} prefix="run/" />
			<section class="charts">{metricsOf(runs).slice(0, 24).map(m => <Curves key={m} runs={runs} metric={m} />)}</section>
		</>
	)
}

function rowsOf(runs: Run[], kind: string, of: (r: Run) => Record<string, string | number>) {
	const values = runs.map(of)
	const keys = [...new Set(values.flatMap(v => Object.keys(v)))].sort()
	return keys.map(k => ({ name: `${kind}.${k}`, values: values.map(v => v[k]), differs: new Set(values.map(v => String(v[k]))).size > 1 }))
}
