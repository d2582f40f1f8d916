// A topic's records, the newest first, with a filter that the server applies.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { ask, exact, isPast, Problem, segment, then, url } from '../api'
import { arrived, type Changes, joined, offsets, onChanges, paused } from '../live'
import { Title } from '../parts/bits'
import { type Answer, Moments, only } from '../parts/moments'
import { Empty, Fault, News, Skeleton } from '../parts/states'
import { Table } from '../parts/table'
import { place, set, to } from '../router'
import { t } from '../text'
import type { LogRecord } from '../types'
import { columnsOf } from './events'

// An answer says how far back the server looked: of a filter that little fits, less than a page may come.
interface Records { items: LogRecord[]; next_cursor?: string; scanned_to: string; scanned: number }
interface Loaded { rows: LogRecord[]; next: string; scanned: string; empty: boolean } // empty: the last page has no rows

const filters = ['type', 'stream', 'actor', 'q'] as const

// readOf is how far the partitions are read, the next offset of each: as far as rows are of them, and as the answer says.
function readOf(rows: LogRecord[], upTo: Record<string, number>): Record<string, number> {
	const next = { ...upTo }
	for (const r of rows) {
		const [p = '', offset = ''] = r.position.slice(r.position.lastIndexOf('/') + 1).split('@')
		next[p] = Math.max(next[p] ?? 0, Number(offset) + 1)
	}
	return next
}

export function Browser({ topic }: { topic: string }) {
	const params = place.value.params
	const chosen = Object.fromEntries(filters.map(f => [f, params.get(f) ?? '']))
	const path = then(`/api/v1/log/topics/${segment(topic)}/records`, { order: 'desc', limit: 200, ...chosen })
	const [state, setState] = useState<Loaded | null>(null)
	const [problem, setProblem] = useState<Problem | null>(null)
	const [news, setNews] = useState(0)
	const [asked, setAsked] = useState(0)
	const [leftOut, setLeftOut] = useState(0) // that came since the last look, beyond what a page has
	const following = params.get('tail') === '1'
	const busy = useRef(false)
	const reading = useRef<AbortController | null>(null) // of what is shown: given up when that is another
	const read = useRef<Record<string, number>>({})
	const told = useRef<Pick<Changes, 'from' | 'cut'> | null>(null) // since it was asked for

	const load = async (cursor: string, signal: AbortSignal, upTo?: (cut: string) => void): Promise<Loaded> => {
		const p = await ask<Records>(cursor === '' ? path : url(path, { cursor }), signal, exact, upTo)
		return { rows: p.items, next: p.next_cursor ?? '', scanned: p.scanned_to, empty: p.items.length === 0 }
	}
	const taken = (e: unknown) => setProblem(e instanceof Problem ? e : new Problem({ title: String(e) }))

	useEffect(() => {
		const abort = new AbortController()
		reading.current = abort
		busy.current = true
		const came = told.current ? arrived(told.current, topic, read.current) : 0
		told.current = null
		let had = ''
		load('', abort.signal, isPast(path) ? undefined : cut => { had = cut }).then(
			l => {
				setLeftOut(following && !filters.some(f => chosen[f]) && l.next !== '' ? Math.max(0, came - l.rows.length) : 0)
				read.current = readOf(l.rows, offsets(had, topic))
				setState(l)
				setProblem(null)
				setNews(told.current ? arrived(told.current, topic, read.current) : 0)
			},
			(e: unknown) => { if (!abort.signal.aborted) taken(e) },
		).finally(() => { if (reading.current === abort) busy.current = false })
		return () => abort.abort()
	}, [path, asked])
	useEffect(() => onChanges(c => {
		if (c.anew) setAsked(a => a + 1)
		if (c.anew || isPast(path)) return
		told.current = told.current ? joined(told.current, c) : c
		setNews(arrived(told.current, topic, read.current))
	}), [path])

	// Who follows is shown what comes as it comes, but not while they read further down: nothing moves under them.
	useEffect(() => {
		if (!following || news === 0 || isPast(path)) return
		const timer = setInterval(() => {
			const top = document.querySelector(`[data-scroll="records-${CSS.escape(topic)}"]`)?.scrollTop ?? 0
			if (!busy.current && top === 0 && !document.hidden) setAsked(a => a + 1)
		}, 500)
		return () => clearInterval(timer)
	}, [following, news === 0, path])

	const more = useMemo(() => {
		if (!state || state.next === '') return undefined
		return () => {
			const abort = reading.current
			if (busy.current || !abort) return
			busy.current = true
			load(state.next, abort.signal).then(
				l => setState(s => (s === state ? { ...l, rows: [...s.rows, ...l.rows] } : s)),
				(e: unknown) => { if (!abort.signal.aborted) taken(e) },
			).finally(() => { if (reading.current === abort) busy.current = false })
		}
	}, [state])
	const columns = useMemo(columnsOf, [t.type])

	return (
		<div class="full">
			<Title of={<a href={to(['events'])}>{t.events}</a>} side={<><label class="check" title={t.tailing}><input type="checkbox" checked={following} disabled={isPast(path)} onChange={e => set({ tail: e.currentTarget.checked ? '1' : '' })} /> {t.tail}</label>{leftOut > 0 && <span class="warn" role="status">{t.tailLeftOut(leftOut)}</span>}{paused.value ? <span class="warn">{t.paused}</span> : null}<News n={news} show={() => setAsked(a => a + 1)} /></>}>{topic}</Title>
			<form class="filters" role="search" onSubmit={e => e.preventDefault()}>
				{filters.map((f, i) => <label key={f}>{{ type: t.type, stream: t.stream, actor: t.actor, q: t.word }[f]}<input data-filter={i === 3 ? '' : undefined} data-focus={`filter-${f}`} value={chosen[f] ?? ''} onInput={e => set({ [f]: e.currentTarget.value }, true)} /></label>)}
			</form>
			<Moments of={[{ path: '/api/v1/log/topics', items: a => ((a.items ?? []) as Answer[]).filter(k => k.topic === topic), id: k => k.topic, shows: only('records', 'partitions') }]} note={t.recordsAreFixed} />
			{problem && <Fault problem={problem} again={() => setAsked(a => a + 1)} />}
			{state === null ? problem ? null : <Skeleton rows={12} /> : state.rows.length === 0
				? <Empty why={filters.some(f => chosen[f]) ? t.nothingFound : t.emptyTopic} />
				: <Table id={`records-${topic}`} of={path} label={topic} rows={state.rows} columns={columns} keyOf={r => `${r.position}.${r.event_id ?? r.revision ?? ''}`} href={r => to(['events', ...r.position.split('/')])} total={state.next === '' ? state.rows.length : -1} more={state.empty ? undefined : more} />}
			{state && <p class="dim foot">{t.shown(state.rows.length)}{state.scanned && ` · ${t.scannedTo} ${state.scanned}`}{state.next !== '' && <button type="button" class="quiet" onClick={() => more?.()}>{t.more}</button>}</p>}
		</div>
	)
}
