// A topic's records, the newest first, with a filter that the server applies.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { ask, exact, Problem, segment, then, url } from '../api'
import { onChanges, paused } from '../live'
import { Title } from '../parts/bits'
import { Empty, Fault, News, Skeleton } from '../parts/states'
import { Table } from '../parts/table'
import { knownAt, place, set, to } from '../router'
import { t } from '../text'
import type { LogRecord } from '../types'
import { columnsOf } from './events'

// An answer says how far back the server looked: of a filter that little fits, less than a page may come.
interface Records { items: LogRecord[]; next_cursor?: string; scanned_to: string; scanned: number }
interface Loaded { rows: LogRecord[]; next: string; scanned: string }

const filters = ['type', 'stream', 'actor', 'q'] as const

export function Browser({ topic }: { topic: string }) {
	const params = place.value.params
	const chosen = Object.fromEntries(filters.map(f => [f, params.get(f) ?? '']))
	const path = then(`/api/v1/log/topics/${segment(topic)}/records`, { order: 'desc', limit: 200, ...chosen })
	const [state, setState] = useState<Loaded | null>(null)
	const [problem, setProblem] = useState<Problem | null>(null)
	const [news, setNews] = useState(0)
	const [asked, setAsked] = useState(0)
	const busy = useRef(false)

	const load = async (cursor: string, signal: AbortSignal): Promise<Loaded> => {
		const p = await ask<Records>(cursor === '' ? path : url(path, { cursor }), signal, exact)
		return { rows: p.items, next: p.next_cursor ?? '', scanned: p.scanned_to }
	}
	const taken = (e: unknown) => setProblem(e instanceof Problem ? e : new Problem({ title: String(e) }))

	useEffect(() => {
		const abort = new AbortController()
		busy.current = true
		load('', abort.signal).then(l => { setState(l); setProblem(null); setNews(0) }, e => { if (!abort.signal.aborted) taken(e) }).finally(() => { busy.current = false })
		return () => abort.abort()
	}, [path, asked])
	useEffect(() => onChanges(c => { if (knownAt.peek() === '') setNews(n => n + c.events) }), [])

	const more = useMemo(() => {
		if (!state || state.next === '') return undefined
		return () => {
			if (busy.current) return
			busy.current = true
			load(state.next, new AbortController().signal).then(l => setState(s => (s === state ? { rows: [...s.rows, ...l.rows], next: l.next, scanned: l.scanned } : s)), taken).finally(() => { busy.current = false })
		}
	}, [state])
	const columns = useMemo(columnsOf, [t.type])

	return (
		<div class="full">
			<Title of={<a href={to(['events'])}>{t.events}</a>} side={<>{paused.value ? <span class="warn">{t.paused}</span> : null}<News n={news} show={() => setAsked(a => a + 1)} /></>}>{topic}</Title>
			<form class="filters" role="search" onSubmit={e => e.preventDefault()}>
				{filters.map((f, i) => <label key={f}>{{ type: t.type, stream: t.stream, actor: t.actor, q: t.word }[f]}<input data-filter={i === 3 ? '' : undefined} data-focus={`filter-${f}`} value={chosen[f] ?? ''} onInput={e => set({ [f]: e.currentTarget.value }, true)} /></label>)}
			</form>
			{problem && <Fault problem={problem} again={() => setAsked(a => a + 1)} />}
			{state === null ? problem ? null : <Skeleton rows={12} /> : state.rows.length === 0
				? <Empty why={filters.some(f => chosen[f]) ? t.nothingFound : t.emptyTopic} />
				: <Table id={`records-${topic}`} of={path} label={topic} rows={state.rows} columns={columns} keyOf={r => `${r.position}.${r.event_id ?? r.revision ?? ''}`} href={r => to(['events', ...r.position.split('/')])} total={state.next === '' ? state.rows.length : -1} more={more} />}
			{state && <p class="dim foot">{t.shown(state.rows.length)}{state.scanned && ` · ${t.scannedTo} ${state.scanned}`}{state.next !== '' && <button type="button" class="quiet" onClick={() => more?.()}>{t.more}</button>}</p>}
		</div>
	)
}
