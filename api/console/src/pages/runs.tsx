// Which run is best, what differs? The table holds all runs at once; what it shows of them is in the address.
import { useMemo } from 'preact/hooks'
import { type Problem, then, url, useGet } from '../api'
import { fields, compare, holds, parse, type Cell } from '../filter'
import { count, duration, figure } from '../format'
import { useKeys } from '../keys'
import { State, Time, Title } from '../parts/bits'
import { type Answer, Moments } from '../parts/moments'
import { Empty, Fault, News, Skeleton } from '../parts/states'
import { type Column, Table } from '../parts/table'
import { go, place, set, to } from '../router'
import { t } from '../text'
import type { Experiment, Page, Run } from '../types'
import { Compare, RunPage } from './run'

export function Runs() {
	const s = place.value.segments
	if (s[1] === 'compare') return <Compare />
	return s[1] === undefined ? <RunTable /> : <RunPage id={s[1]} />
}

// All runs, as columns of cells: what is shown, and what is filtered and sorted by.
interface Frame { n: number; columns: Record<string, Cell[]> }
interface Columns { columns: Record<string, (string | number | null)[]>; total: number; next_cursor?: string }
const own = ['run_id', 'name', 'status', 'experiment_id', 'user', 'start_time', 'end_time']
const cellsMax = 1_000_000 // of an answer

// quoted is the name of a column as the API takes it.
function quoted(name: string): string {
	const dot = name.indexOf('.')
	return dot < 0 || /^[A-Za-z0-9_]+$/.test(name.slice(dot + 1)) ? name : `${name.slice(0, dot)}.\`${name.slice(dot + 1)}\``
}

// runsPath is where all runs are, as columns.
function runsPath(experiment: string, names: string[]): string {
	const all = [...own, ...names]
	return url('/api/v1/runs', { experiment_id: experiment, columns: all.map(quoted).join(','), limit: Math.min(50_000, Math.floor(cellsMax / all.length)) })
}

// runRows are the runs of columns, each by itself, without what it has not.
function runRows(a: Answer): Answer[] {
	const columns = Object.entries((a.columns ?? {}) as Record<string, unknown[]>)
	return (columns.find(([name]) => name === 'run_id')?.[1] ?? []).map((_, i) => Object.fromEntries(columns.flatMap(([name, cells]) => (cells[i] === null || cells[i] === '' ? [] : [[name, cells[i]]]))))
}

function useFrame(experiment: string, names: string[]): { frame: Frame | null; total: number; problem: Problem | undefined; news: number; again: () => void } {
	const got = useGet<Columns>(then(runsPath(experiment, names)), { views: ['runs'], hold: true })
	const frame = useMemo(() => {
		if (!got.data) return null
		const columns: Record<string, Cell[]> = {}
		for (const [name, cells] of Object.entries(got.data.columns)) columns[name.replaceAll('`', '')] = name.startsWith('metrics.') ? cells.map(v => (v === null ? undefined : Number(v))) : (cells as Cell[])
		return { n: columns.run_id?.length ?? 0, columns }
	}, [got.data])
	return { frame, total: got.data?.total ?? 0, problem: got.problem, news: got.news, again: got.again }
}

const heads = (): Record<string, string> => ({ name: t.name, status: t.state, experiment_id: t.experiment, user: t.user, start_time: t.started, duration: t.duration })

function RunTable() {
	const params = place.value.params
	const experiment = params.get('experiment') ?? ''
	const q = params.get('q') ?? ''
	const sort = params.get('sort') ?? ''
	const experiments = useGet<Page<Experiment>>(then('/api/v1/experiments', { limit: 1000 }), { views: ['experiments'] })
	const selected = useMemo(() => new Set((params.get('sel') ?? '').split(',').filter(s => s !== '')), [params.get('sel')])
	// Which metrics, parameters and tags there are, the newest runs tell.
	const newest = useGet<Page<Run>>(then('/api/v1/runs', { experiment_id: experiment, limit: 100 }), {})
	const found = useMemo(() => [...new Set((newest.data?.items ?? []).flatMap(r => [...Object.keys(r.metrics ?? {}).map(k => `metrics.${k}`), ...Object.keys(r.params ?? {}).map(k => `params.${k}`), ...Object.keys(r.tags ?? {}).map(k => `tags.${k}`)]))].sort(), [newest.data])
	const byDefault = useMemo(() => found.filter(c => c.startsWith('metrics.')).slice(0, 4), [found])
	const cols = params.has('cols') ? (params.get('cols') ?? '').split(',').filter(c => c !== '' && c !== '-') : byDefault
	const wanted = [...new Set([...cols, ...fields(parse(q)), ...fields(sort === '' ? [] : [{ field: sort.replace(/^-/, ''), op: '', value: '' }])])]
	const ready = params.has('cols') || newest.data !== undefined || newest.problem !== undefined
	const { frame, total, problem, news, again } = useFrame(experiment, ready ? wanted : [])
	const names = Object.fromEntries(experiments.data?.items.map(e => [e.experiment_id, e.name]) ?? [])

	// The rows are indices into the frame, filtered and sorted.
	const rows = useMemo(() => {
		if (!frame) return []
		const c = frame.columns
		const cell = (field: string, i: number): Cell => {
			if (field === 'duration') return c.end_time?.[i] == null || c.start_time?.[i] == null ? undefined : Number(c.end_time[i]) - Number(c.start_time[i])
			return c[field]?.[i]
		}
		const terms = parse(q)
		let is = Array.from({ length: frame.n }, (_, i) => i)
		if (terms.length > 0) is = is.filter(i => holds(terms, f => cell(f === 'experiment' ? 'experiment_id' : f === 'id' ? 'run_id' : f, i), () => `${c.name?.[i]} ${c.run_id?.[i]} ${c.status?.[i]} ${c.user?.[i]}`.toLowerCase()))
		if (sort !== '') {
			const field = sort.replace(/^-/, '')
			is.sort((a, b) => compare(cell(field, a), cell(field, b), sort.startsWith('-')))
		}
		return is
	}, [frame, q, sort])

	const c = frame?.columns ?? {}
	const id = (i: number) => String(c.run_id?.[i])
	const head = heads()
	const columns: Column<number>[] = [
		{ id: 'name', head: head.name ?? '', width: 'minmax(150px, 2fr)', sorts: true, line: 1, cell: i => <a href={to(['runs', id(i)])} tabIndex={-1}>{c.name?.[i] || id(i)}</a> },
		{ id: 'status', head: head.status ?? '', width: '108px', sorts: true, line: 1, cell: i => <State of={String(c.status?.[i] ?? '')} /> },
		{ id: 'start_time', head: head.start_time ?? '', width: '152px', sorts: true, line: 2, cell: i => <Time at={Number(c.start_time?.[i])} /> },
		{ id: 'duration', head: head.duration ?? '', width: '80px', num: true, sorts: true, cell: i => (c.end_time?.[i] == null ? '' : duration(Number(c.end_time[i]) - Number(c.start_time?.[i]))) },
		...(experiment === '' ? [{ id: 'experiment_id', head: head.experiment_id ?? '', width: 'minmax(90px, 1fr)', cell: (i: number) => names[String(c.experiment_id?.[i])] ?? String(c.experiment_id?.[i] ?? '') }] : []),
		...cols.map((name, n): Column<number> => ({ id: name, head: name.replace(/^(metrics|params|tags)\./, ''), width: 'minmax(84px, 130px)', num: name.startsWith('metrics.'), sorts: true, ...(n < 2 ? { line: 2 as const } : {}), cell: i => { const v = c[name]?.[i]; return name.startsWith('metrics.') ? figure(v) : v ?? '' } })),
	]
	const compared = () => { if (selected.size > 1) go(to(['runs', 'compare'], { sel: [...selected].join(',') })) }
	useKeys([{ keys: 'c', does: t.keyCompare, run: compared, ...(selected.size < 2 ? { off: t.selectTwo } : {}) }])
	const toggle = (key: string) => {
		const next = new Set(selected)
		if (!next.delete(key)) next.add(key)
		set({ sel: [...next].join(',') }, true)
	}
	const missing = frame && frame.n > 0 ? fields(parse(q)).filter(f => c[f]?.every(v => v === undefined || v === null)) : []
	return (
		<div class="full">
			<Title side={<><News n={news} show={again} /><button type="button" class="main" disabled={selected.size < 2} onClick={compared}>{t.compare} {selected.size > 0 && selected.size}</button></>}>{t.runs}</Title>
			<form class="filters" role="search" onSubmit={e => e.preventDefault()}>
				<label class="wide">{t.filter}<input data-filter="" data-focus="filter" class="mono" value={q} placeholder="metrics.ndcg>0.2 params.dim=64 als" onInput={e => set({ q: e.currentTarget.value }, true)} /></label>
				<label>{t.experiment}<select value={experiment} onChange={e => set({ experiment: e.currentTarget.value })}><option value="">{t.all}</option>{experiments.data?.items.map(e => <option key={e.experiment_id} value={e.experiment_id}>{e.name}</option>)}</select></label>
				<details class="columns"><summary>{t.columns} {cols.length}</summary><div>{found.map(f => <label key={f} class="check"><input type="checkbox" checked={cols.includes(f)} onChange={e => set({ cols: (e.currentTarget.checked ? [...cols, f] : cols.filter(x => x !== f)).join(',') || '-' })} /> {f}</label>)}</div></details>
			</form>
			{ready && <Moments of={[{ path: runsPath(experiment, wanted), views: ['runs'], items: runRows, id: r => String(r.run_id), page: r => to(['runs', String(r.run_id)]), more: a => Number(a.total) > (a.columns?.run_id?.length ?? 0), shows: ({ run_id: _, ...r }) => r }]} prefix="run/" />}
			{missing.length > 0 && <p class="warn" role="status">{t.noSuchField(missing.join(', '))}</p>}
			{problem && <Fault problem={problem} again={again} />}
			{frame === null ? problem ? null : <Skeleton rows={14} /> : frame.n === 0
				? <Empty why={t.noRuns} command="projectionist train als" />
				: rows.length === 0 ? <Empty why={t.nothingFound} />
					: <Table id="runs" of={`${experiment} ${q} ${sort}`} label={t.runs} rows={rows} columns={columns} keyOf={id} href={i => to(['runs', id(i)])} sort={sort} onSort={s => set({ sort: s })} selected={selected} onSelect={toggle} />}
			{frame && <p class="dim foot">{rows.length === frame.n ? count(frame.n) : `${count(rows.length)} / ${count(frame.n)}`} {t.runs}{total > frame.n && ` · ${t.newestOf(total)}`}</p>}
		</div>
	)
}
