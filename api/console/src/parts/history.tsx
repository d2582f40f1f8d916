// What happened, and when did we know? The acts of a person, or on a film.
import { useState } from 'preact/hooks'
import { command, Problem, then, url, useGet } from '../api'
import { count, duration, figure, time, typed } from '../format'
import { announce } from '../keys'
import { asOf, place, set, to } from '../router'
import { t } from '../text'
import { noCommands } from '../timebar'
import type { Fact as Act, HistoryTimes } from '../types'
import { Fact, Facts, Position, Time } from './bits'
import { useBetween } from './moments'
import { usePaged } from './paged'
import { Empty, Fault, News, Shown, Skeleton } from './states'
import { type Column, Table } from './table'

// Of is whose history it is, and the address that it has in the API.
export interface Of { path: string; views: string[]; id: string; person: boolean }

// happened is an address as known and as of the page's moments.
export const happened: typeof then = (path, params = {}) => then(path, { as_of: asOf.value, ...params })

// noRating is why nothing can be recorded: the page shows the past.
export const noRating = (): string => noCommands() || (asOf.value ? t.noCommandsThen : '')

export function AsOf() {
	return <label>{t.happened}<input class="mono" data-focus="as-of" value={asOf.value} placeholder="as_of 2024-01-01" onChange={e => set({ as_of: typed(e.currentTarget.value) })} /></label>
}

const positionOf = (f: Act) => `user-events/${f.partition}@${f.offset}`

const columnsOf = (person: boolean): Column<Act>[] => [
	{ id: 'event', head: t.eventTime, width: '150px', cell: f => <Time at={f.event_millis} />, line: 2 },
	person
		? { id: 'film', head: t.film, width: 'minmax(140px, 3fr)', cell: f => <a href={to(['films', f.movie_id])} tabIndex={-1}><bdi>{f.title || f.movie_id}</bdi>{f.year ? <span class="dim"> {f.year}</span> : null}</a>, line: 1 }
		: { id: 'person', head: t.person, width: 'minmax(100px, 2fr)', cell: f => <a class="mono" href={to(['people', f.user_id])} tabIndex={-1}>{f.user_id}</a>, line: 1 },
	{ id: 'what', head: t.what, width: '120px', cell: f => <span class={f.superseded ? 'dim superseded' : ''} title={f.superseded ? t.superseded : ''}>{f.interaction_type}{f.rating ? ` ${figure(f.rating)}` : ''}</span>, line: 1 },
	{ id: 'recorded', head: t.recordedTime, width: '150px', cell: f => <Time at={f.recorded_millis} />, line: 2 },
	{ id: 'later', head: t.later, width: '96px', num: true, cell: f => (f.recorded_millis - f.event_millis < 1000 ? '' : duration(f.recorded_millis - f.event_millis)) },
	{ id: 'position', head: t.position, width: 'minmax(150px, 1fr)', cell: f => <Position at={positionOf(f)} /> },
]

export function History({ of }: { of: Of }) {
	const params = place.value.params
	const [from, until, order] = ['from', 'to', 'order'].map(p => params.get(p) ?? '') as [string, string, string]
	const between = useBetween()
	const after = between?.known_after ?? ''
	const path = between && url(`${of.path}/history`, { from, to: until, order, ...between, as_of: asOf.value, limit: 200, ...(of.person ? { titles: true } : {}) })
	const list = usePaged<Act>(path, { views: of.views, id: of.id, hold: true })
	return (
		<section>
			<form class="filters" role="search" onSubmit={e => e.preventDefault()}>
				<label>{t.from}<input data-filter="" data-focus="from" class="mono" value={from} placeholder="2024-01-01" onChange={e => set({ from: e.currentTarget.value.trim() })} /></label>
				<label>{t.until}<input data-focus="until" class="mono" value={until} placeholder="2024-02-01" onChange={e => set({ to: e.currentTarget.value.trim() })} /></label>
				<label>{t.order}<select data-focus="order" value={order} onChange={e => set({ order: e.currentTarget.value })}><option value="">{t.newestFirst}</option><option value="oldest">{t.oldestFirst}</option></select></label>
				{(from !== '' || until !== '') && <button type="button" class="quiet" onClick={() => set({ from: '', to: '' })}>{t.all}</button>}
				<News n={list.news} show={list.again} />
				{after !== '' && <span class="warn" role="status">{t.actsBetween}</span>}
			</form>
			{list.problem && <Fault problem={list.problem} again={list.again} />}
			{list.rows === null ? list.problem ? null : <Skeleton rows={8} /> : list.rows.length === 0
				? <Empty why={from || until || after ? t.nothingFound : t.noActs} />
				: <div class="listed"><Table id="history" of={path ?? ''} label={t.history} rows={list.rows} columns={columnsOf(of.person)} keyOf={positionOf} href={f => to(['events', ...positionOf(f).split('/')])} total={list.next === '' ? list.rows.length : -1} more={list.empty ? undefined : list.more} /></div>}
			{list.rows && <p class="dim foot">{t.shown(list.rows.length)}{list.next !== '' && <button type="button" class="quiet" onClick={() => list.more?.()}>{t.more}</button>}</p>}
		</section>
	)
}

const least = 12 // buckets of an axis that are drawn

// axis is where the buckets of one of the two times begin and end.
function axis(a: HistoryTimes['event']): { start: number; end: number } {
	const start = Math.floor(a.first_millis / a.bucket_millis)
	const n = Math.floor(a.last_millis / a.bucket_millis) + 1 - start
	const pad = Math.max(0, Math.ceil((least - n) / 2))
	return { start: (start - pad) * a.bucket_millis, end: (start + n + pad) * a.bucket_millis }
}

// Times draws acts by when they happened and when they were known. What is above the diagonal, where both are one, came late.
export function Times({ of }: { of: Of }) {
	const got = useGet<HistoryTimes>(happened(`${of.path}/history/times`), { views: of.views, id: of.id })
	return <Shown got={got} rows={4}>{h => (h.facts === 0 ? null : <Plot h={h} />)}</Shown>
}

function Plot({ h }: { h: HistoryTimes }) {
	const ax = axis(h.event)
	const ay = axis(h.recorded)
	const x = (at: number) => ((at - ax.start) / (ax.end - ax.start)) * 1000
	const y = (at: number) => 1000 - ((at - ay.start) / (ay.end - ay.start)) * 1000
	const most = Math.max(...h.cells.map(c => c.facts))
	const [w, tall] = [x(ax.start + h.event.bucket_millis), 1000 - y(ay.start + h.recorded.bucket_millis)]
	const both = [Math.max(ax.start, ay.start), Math.min(ax.end, ay.end)] as const
	const late = h.most_late ? h.most_late.recorded_millis - h.most_late.event_millis : 0
	const said = `${t.factsOf(count(h.facts))} · ${t.eventTime} ${time(h.event.first_millis, true)} – ${time(h.event.last_millis, true)} · ${t.recordedTime} ${time(h.recorded.first_millis, true)} – ${time(h.recorded.last_millis, true)}`
	return (
		<section>
			<Facts>
				<Fact name={t.acts}>{h.complete ? '' : '≥ '}{count(h.facts)}</Fact>
				{h.kinds.slice(0, 6).map(k => <Fact key={k.interaction_type} name={k.interaction_type || t.others}>{count(k.facts)}{k.mean_rating !== undefined && <span class="dim" title={String(k.mean_rating)}> ⌀ {figure(k.mean_rating)}</span>}</Fact>)}
				{h.most_late && late >= 1000 && <Fact name={t.mostLate}>{duration(late)} <Position at={h.most_late.position} /></Fact>}
			</Facts>
			<figure class="times"><figcaption>{t.happenedKnown} <span class="dim">{t.cellSays(duration(h.event.bucket_millis), duration(h.recorded.bucket_millis))}{both[0] < both[1] && ` · ${t.aboveLine}`}</span></figcaption>
				<div class="plot">
					<span class="dim y">{time(ay.end, true)}</span>
					<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" aria-label={said}>
						{both[0] < both[1] && <line class="rule" x1={x(both[0])} y1={y(both[0])} x2={x(both[1])} y2={y(both[1])} />}
						{h.cells.map(c => (
							<rect key={`${c.event_millis} ${c.recorded_millis}`} x={x(c.event_millis)} y={y(c.recorded_millis) - tall} width={w} height={tall} opacity={most === 1 ? 1 : 0.3 + 0.7 * (Math.log(c.facts) / Math.log(most))}
								onClick={() => set({ from: new Date(c.event_millis).toISOString(), to: new Date(c.event_millis + h.event.bucket_millis).toISOString(), tab: '' })}><title>{`${count(c.facts)} · ${t.eventTime} ${time(c.event_millis, true)} · ${t.recordedTime} ${time(c.recorded_millis, true)} · ${c.position}`}</title></rect>
						))}
					</svg>
					<span class="dim y">{time(ay.start, true)} <b>↑ {t.recordedTime}</b></span>
					<span class="dim x"><span>{time(ax.start, true)}</span><b>{t.eventTime} →</b><span>{time(ax.end, true)}</span></span>
				</div>
			</figure>
		</section>
	)
}

const kinds = ['rating', 'like', 'dislike', 'watch', 'view'] as const

// Rate records an act of a person on a film: the one that is not given is asked for. A repetition, as by a double click, is the same one.
export function Rate({ user, movie, done }: { user?: string; movie?: string; done: () => void }) {
	const [other, setOther] = useState('')
	const [kind, setKind] = useState<string>('rating')
	const [stars, setStars] = useState('4')
	const [busy, setBusy] = useState(false)
	const [problem, setProblem] = useState<Problem | null>(null)
	const fresh = () => crypto.randomUUID?.() ?? String(Math.random())
	const [key, setKey] = useState(fresh)
	const off = noRating()
	const act = async (e: Event) => {
		e.preventDefault()
		if (busy || off) return
		setBusy(true)
		setProblem(null)
		const said = { user_id: user ?? other.trim(), movie_id: movie ?? other.trim(), interaction_type: kind, ...(kind === 'rating' ? { rating: Number(stars) } : {}) }
		try {
			const a = await command<{ position: string }>('POST', '/api/v1/feedback', said, { key })
			announce(`${t.rated}: ${a.position}`)
			setKey(fresh())
			done()
		} catch (p) {
			setProblem(p instanceof Problem ? p : new Problem({ title: String(p) }))
			if (p instanceof Problem && p.status !== 0) setKey(fresh()) // what was refused was not recorded
		}
		setBusy(false)
	}
	const change = (take: (v: string) => void) => (e: { currentTarget: { value: string } }) => { take(e.currentTarget.value); setKey(fresh()) }
	return (
		<form class="filters rate" aria-label={t.recordAct} onSubmit={e => void act(e)}>
			<label>{movie === undefined ? t.film : t.person}<input class="mono" data-focus="other" value={other} required placeholder={movie === undefined ? 'movie_id' : 'user_id'} disabled={off !== ''} onInput={change(setOther)} /></label>
			<label>{t.what}<select value={kind} disabled={off !== ''} onChange={change(setKind)}>{kinds.map(k => <option key={k} value={k}>{k}</option>)}</select></label>
			{kind === 'rating' && <label>{t.stars}<input type="number" min="0.5" max="5" step="0.5" required value={stars} disabled={off !== ''} onInput={change(setStars)} /></label>}
			<button type="submit" disabled={busy || off !== ''} title={off}>{t.recordAct}</button>
			{off && <span class="dim">{off}</span>}
			{problem && <Fault problem={problem} />}
		</form>
	)
}
