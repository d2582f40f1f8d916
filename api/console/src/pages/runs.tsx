// Which run is best, what differs? The table holds all runs at once; what it shows of them is in the address.
import { useEffect, useMemo, useState } from 'preact/hooks'
import { ask, Problem, then, useGet, url } from '../api'
import { fields, compare, holds, parse, type Cell } from '../filter'
import { count, duration, figure } from '../format'
import { useKeys } from '../keys'
import { changes } from '../live'
import { State, Time, Title } from '../parts/bits'
import { Empty, Fault, News, Skeleton } from '../parts/states'
import { type Column, Table } from '../parts/table'
import { go, knownAt, place, set, to } from '../router'
import { t } from '../text'
import type { Experiment, Page, Run } from '../types'
import { Compare, RunPage } from './run'

export function Runs() {
	const s = place.value.segments
	if (s[1] === 'compare') return <Compare />
	return s[1] === undefined ? <RunTable /> : <RunPage id={s[1]} />
}

// All runs, as columns of cells.
export interface Frame { n: number; columns: Record<string, Cell[]> }
const own = ['run_id', 'name', 'status', 'experiment_id', 'user', 'start_millis', 'end_millis']

function frameOf(runs: Run[]): Frame {
	const columns: Record<string, Cell[]> = {}
	const at = (name: string, i: number, v: Cell) => { (columns[name] ??= new Array<Cell>(i).fill(undefined))[i] = v }
	runs.forEach((r, i) => {
		at('run_id', i, r.run_id)
		at('name', i, r.name)
		at('status', i, r.status)
		at('experiment_id', i, r.experiment_id)
		at('user', i, r.user ?? r.actor)
		at('start_millis', i, r.start_millis)
		at('end_millis', i, r.end_millis)
		for (const [k, m] of Object.entries(r.metrics ?? {})) at(`metrics.${k}`, i, typeof m.value === 'number' ? m.value : Number(m.value))
		for (const [k, v] of Object.entries(r.params ?? {})) at(`params.${k}`, i, v)
		for (const [k, v] of Object.entries(r.tags ?? {})) at(`tags.${k}`, i, v)
	})
	return { n: runs.length, columns }
}

// useRuns reads all runs, a page after the other, and shows what it has meanwhile.
function useRuns(experiment: string): { frame: Frame | null; whole: boolean; problem: Problem | null; news: number; again: () => void } {
	const path = then('/api/v1/runs', { experiment_id: experiment, limit: 1000 })
	const [state, setState] = useState<{ frame: Frame | null; whole: boolean }>({ frame: null, whole: false })
	const [problem, setProblem] = useState<Problem | null>(null)
	const [asked, setAsked] = useState(0)
	const [news, setNews] = useState(0)
	useEffect(() => {
		const abort = new AbortController()
		const read = async () => {
			const all: Run[] = []
			for (let cursor = ''; ;) {
				const p = await ask<Page<Run>>(url(path, { cursor }), abort.signal)
				all.push(...p.items)
				cursor = p.next ?? ''
				if (cursor === '' || all.length === p.items.length) setState(s => (cursor === '' || s.frame === null ? { frame: frameOf(all), whole: cursor === '' } : s))
				if (cursor === '') return
			}
		}
		setNews(0)
		setProblem(null)
		read().catch((e: unknown) => { if (!abort.signal.aborted) { setProblem(e instanceof Problem ? e : new Problem({ title: String(e) })); setState({ frame: null, whole: false }) } })
		return () => abort.abort()
	}, [path, asked])
	useEffect(() => changes.subscribe(c => { if (c && 'runs' in c.views && knownAt.peek() === '') setNews(n => n + (c.views.runs?.length ?? 100)) }), [])
	return { ...state, problem, news, again: () => setAsked(a => a + 1) }
}

const heads = (): Record<string, string> => ({ name: t.name, status: t.state, experiment_id: t.experiment, user: t.user, start_millis: t.started, duration: t.duration })

function RunTable() {
	const params = place.value.params
	const experiment = params.get('experiment') ?? ''
	const q = params.get('q') ?? ''
	const sort = params.get('sort') ?? ''
	const { frame, whole, problem, news, again } = useRuns(experiment)
	const experiments = useGet<Page<Experiment>>(then('/api/v1/experiments', { limit: 1000 }), { views: ['experiments'] })
	const selected = useMemo(() => new Set((params.get('sel') ?? '').split(',').filter(s => s !== '')), [params.get('sel')])
	const found = useMemo(() => Object.keys(frame?.columns ?? {}).filter(c => c.includes('.')).sort(), [frame])
	const byDefault = useMemo(() => found.filter(c => c.startsWith('metrics.')).slice(0, 4), [found])
	const cols = params.has('cols') ? (params.get('cols') ?? '').split(',').filter(c => c !== '' && c !== '-') : byDefault
	const names = Object.fromEntries(experiments.data?.items.map(e => [e.experiment_id, e.name]) ?? [])

	// The rows are indices into the frame, filtered and sorted.
	const rows = useMemo(() => {
		if (!frame) return []
		const c = frame.columns
		const cell = (field: string, i: number): Cell => {
			if (field === 'duration') return c.end_millis?.[i] === undefined || c.start_millis?.[i] === undefined ? undefined : Number(c.end_millis[i]) - Number(c.start_millis[i])
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
		{ id: 'start_millis', head: head.start_millis ?? '', width: '152px', sorts: true, line: 2, cell: i => <Time at={Number(c.start_millis?.[i])} /> },
		{ id: 'duration', head: head.duration ?? '', width: '80px', num: true, sorts: true, cell: i => (c.end_millis?.[i] === undefined ? '' : duration(Number(c.end_millis[i]) - Number(c.start_millis?.[i]))) },
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
	const missing = fields(parse(q)).filter(f => frame && !(f in c))
	return (
		<div class="full">
			<Title side={<><News n={news} show={again} /><button type="button" class="main" disabled={selected.size < 2} onClick={compared}>{t.compare} {selected.size > 0 && selected.size}</button></>}>{t.runs}</Title>
			<form class="filters" role="search" onSubmit={e => e.preventDefault()}>
				<label class="wide">{t.filter}<input data-filter="" data-focus="filter" class="mono" value={q} placeholder="metrics.ndcg>0.2 params.dim=64 als" onInput={e => set({ q: e.currentTarget.value }, true)} /></label>
				<label>{t.experiment}<select value={experiment} onChange={e => set({ experiment: e.currentTarget.value })}><option value="">{t.all}</option>{experiments.data?.items.map(e => <option key={e.experiment_id} value={e.experiment_id}>{e.name}</option>)}</select></label>
				<details class="columns"><summary>{t.columns} {cols.length}</summary><div>{found.map(f => <label key={f} class="check"><input type="checkbox" checked={cols.includes(f)} onChange={e => set({ cols: (e.currentTarget.checked ? [...cols, f] : cols.filter(x => x !== f)).join(',') || '-' })} /> {f}</label>)}</div></details>
			</form>
			{missing.length > 0 && <p class="warn" role="status">{t.noSuchField(missing.join(', '))}</p>}
			{problem && <Fault problem={problem} again={again} />}
			{frame === null ? problem ? null : <Skeleton rows={14} /> : frame.n === 0
				? <Empty why={t.noRuns} command="projectionist train als" />
				: rows.length === 0 ? <Empty why={t.nothingFound} />
					: <Table id="runs" label={t.runs} rows={rows} columns={columns} keyOf={id} href={i => to(['runs', id(i)])} sort={sort} onSort={s => set({ sort: s })} selected={selected} onSelect={toggle} />}
			{frame && <p class="dim foot">{rows.length === frame.n ? count(frame.n) : `${count(rows.length)} / ${count(frame.n)}`} {t.runs}{!whole && ` · ${t.loading}`}</p>}
		</div>
	)
}
export { own }
