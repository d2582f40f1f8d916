// What there is at two moments: what differs, and below it the events between, with who caused them and what led to them.
import { useEffect, useMemo, useState } from 'preact/hooks'
import { ask, exact, type Got, Problem, url, useGet } from '../api'
import { type Change, Diff, diff } from '../diff'
import { count, time, typed } from '../format'
import { useKeys } from '../keys'
import { behind } from '../live'
import { EntryList } from '../pages/entries'
import { asOf, knownAt, place, set, to } from '../router'
import { t } from '../text'
import { askMoment, compares } from '../timebar'
import type { AuditEntry, Page } from '../types'
import { Fault, News, Shown } from './states'

// biome-ignore lint/suspicious/noExplicitAny: an answer as it came
export type Answer = Record<string, any>

// Compared is an answer of the API that is held against what it was, or will have been, at another moment: a document, or a list by the ids of its rows.
export interface Compared {
	name?: string // where a page has several
	path: string // without moments
	dated?: boolean // it is asked as of event time too
	views?: string[] // whose changes make it another
	id?: (row: Answer) => string // of a list: what a row is known by
	items?: (answer: Answer) => Answer[] // of a list: its rows, where they are not its items
	more?: (answer: Answer) => boolean // of a list: it is longer, where no next_cursor says so
	tail?: boolean // of a list: it is the last of more, whose first rows are left out as others come
	shows?: (row: Answer) => Answer // of a row, or the document, what counts
	page?: (row: Answer) => string // of a row, its address
}

export const rowsMost = 1000 // of a page of a list that is compared: as many as one of the API has
const pagesMost = 20 // of each of two lists

// only are some fields of a row.
export const only = (...names: string[]) => (row: Answer): Answer => Object.fromEntries(names.filter(n => row[n] !== undefined).map(n => [n, row[n]]))

// servedShows is what counts of a slot.
export const servedShows = only('model', 'version', 'reason', 'actor', 'position')

interface Between extends Page<AuditEntry> { facts?: Record<string, number> }
interface Side { known: string; happened: string } // known "" is now

// there takes what there was not yet for a thing without fields.
const there = (got: Got<Answer>): Got<Answer> => (got.problem?.status === 404 ? { loading: false, news: 0, again: got.again, data: {} } : got)

// own is what was got of an address; what stands there of another until its answer comes is not of it.
function own<T>(path: string | null, got: Got<T>): Got<T> {
	const { data: _, ...none } = got
	return got.of === path ? got : none
}

// differences are the changes from one answer to another. Of a list that is longer than what was read it is told only what is sure: of rows that stand before
// one that both have, in an order that is the same. Of the last of a list no row is gone that stands before all that both have.
export function differences(p: Compared, before: Answer, after: Answer): { changes: Change[]; bounded: boolean; rows: number } {
	const shows = p.shows ?? (row => row)
	const id = p.id
	if (!id) return { changes: diff(shows(before), shows(after)), bounded: false, rows: 1 }
	const rowsOf = (a: Answer) => new Map((p.items ? p.items(a) : (a.items as Answer[] | undefined) ?? []).map(row => [id(row), row]))
	const isLonger = (a: Answer) => p.more?.(a) ?? a.next_cursor !== undefined
	const [was, is] = [rowsOf(before), rowsOf(after)]
	const sure = (own: Map<string, Answer>, other: Map<string, Answer>, longer: boolean) => {
		const ids = [...own.keys()]
		return ids.slice(0, longer ? ids.findLastIndex(i => other.has(i)) + 1 : ids.length)
	}
	const first = p.tail ? [...was.keys()].findIndex(i => is.has(i)) : 0
	const gone = first < 0 ? [] : sure(was, is, isLonger(after)).slice(first)
	const come = sure(is, was, isLonger(before)).filter(i => !was.has(i))
	const one = (i: string, a: Answer | undefined, b: Answer | undefined) => {
		const row = b ?? a
		const href = row && p.page ? { href: p.page(row) } : {}
		return diff(a && shows(a), b && shows(b), false, i).map(c => ({ ...c, ...href }))
	}
	return { changes: [...come.flatMap(i => one(i, undefined, is.get(i))), ...gone.flatMap(i => one(i, was.get(i), is.get(i)))], bounded: isLonger(before) || isLonger(after), rows: Math.max(was.size, is.size) }
}

const called = (s: Side): string => {
	const at = s.known === '' ? t.now : /^\d{4}-/.test(s.known) && Number.isFinite(Date.parse(s.known)) ? time(Date.parse(s.known)) : s.known
	return s.happened === '' ? at : `${at}, ${t.happened} ${s.happened}`
}

// Moments holds a page against itself at another moment, before or behind its own, that vs_known_at and vs_as_of of the address name; "now" is one, too.
// stream, or what begins with a prefix, is what the page is of. note is what of the page is of now alone.
export function Moments({ of, stream, prefix, note }: { of: Compared[]; stream?: string; prefix?: string | string[]; note?: string }) {
	const params = place.value.params
	const dated = of.some(p => p.dated)
	const vs = params.get('vs_known_at') ?? ''
	const vsAsOf = dated ? params.get('vs_as_of') ?? '' : ''
	const ask = () => askMoment(m => set({ vs_known_at: m || 'now' }))
	useKeys([{ keys: 'd', does: t.keyDiff, run: ask }])
	useEffect(() => {
		compares.value = ask
		return () => { if (compares.peek() === ask) compares.value = null }
	}, [])
	if (vs === '' && vsAsOf === '') return null
	const here: Side = { known: knownAt.value, happened: dated ? asOf.value : '' }
	const other: Side = { known: vs === '' ? here.known : otherOf(vs), happened: vsAsOf || here.happened }
	return (
		<section class="card" data-diff="">
			<Ordered here={here} other={other}>{(a, b) => (
				<>
					<h2>{called(a)} → {called(b)} <button type="button" class="quiet" onClick={() => set({ vs_known_at: '', vs_as_of: '' })}>{t.close}</button></h2>
					{dated && <form class="filters" onSubmit={e => e.preventDefault()}><label>{t.happened} ({other === a ? t.before : t.after})<input class="mono" data-focus="vs-as-of" value={vsAsOf} placeholder="vs_as_of 2024-01-01" onChange={e => set({ vs_as_of: typed(e.currentTarget.value), vs_known_at: vs })} /></label></form>}
					{note && <p class="warn">{note}</p>}
					{of.map(p => <Part key={p.path} p={p} a={a} b={b} />)}
					{of.length > 0 && a.known !== b.known && [prefix].flat().map((x, i) => <EventsBetween key={x} a={a} b={b} stream={stream} prefix={x} first={i === 0} />)}
				</>
			)}</Ordered>
		</section>
	)
}

// useOrder finds which of two moments of recorded time is the earlier: now is not, and of others their cuts tell. Until they do, it gives what they are asked by.
function useOrder(here: string, other: string): { otherIsLater: boolean } | { asked: Got<{ cut: string }> } {
	const asks = here !== '' && other !== '' && here !== other
	const cutOf = (known_at: string) => (asks ? url('/api/v1/log/moment', { known_at }) : null)
	const a = own(cutOf(here), useGet<{ cut: string }>(cutOf(here)))
	const b = own(cutOf(other), useGet<{ cut: string }>(cutOf(other)))
	if (!asks) return { otherIsLater: other === '' && here !== '' }
	if (!a.data || a.problem) return { asked: a }
	return !b.data || b.problem ? { asked: b } : { otherIsLater: behind(a.data.cut, b.data.cut) }
}

function Ordered({ here, other, children }: { here: Side; other: Side; children: (before: Side, after: Side) => preact.ComponentChildren }) {
	const order = useOrder(here.known, other.known)
	if ('asked' in order) return <Shown got={order.asked} rows={2}>{() => null}</Shown>
	return <>{order.otherIsLater ? children(here, other) : children(other, here)}</>
}

// otherOf is the moment that the page is held against: "" for now.
const otherOf = (vs: string): string => (vs === 'now' ? '' : vs)

// useBetween is what the log took between the page's moment and the one that it is held against, as the API is asked; null where that is not known yet.
export function useBetween(): { known_after?: string; known_at: string } | null {
	const vs = place.value.params.get('vs_known_at') ?? ''
	const here = knownAt.value
	const order = useOrder(here, vs === '' ? here : otherOf(vs))
	if (vs === '' || otherOf(vs) === here) return { known_at: here }
	if ('asked' in order) return order.asked.problem ? { known_at: here } : null
	return order.otherIsLater ? { known_after: here, known_at: otherOf(vs) } : { known_after: otherOf(vs), known_at: here }
}

const at = (p: Compared, s: Side): string => url(p.path, { known_at: s.known, ...(p.dated ? { as_of: s.happened } : {}) })

function Part({ p, a, b }: { p: Compared; a: Side; b: Side }) {
	const live = { as: exact, views: p.views ?? ['log'], hold: true }
	const before = own(at(p, a), useGet<Answer>(at(p, a), live))
	const after = own(at(p, b), useGet<Answer>(at(p, b), live))
	return (
		<>
			{p.name && <h3>{p.name}</h3>}
			<News n={Math.max(before.news, after.news)} show={() => { before.again(); after.again() }} />
			<Shown got={there(before)} rows={2}>{x => <Shown got={there(after)} rows={2}>{y => <Changed p={p} x={x} y={y} paths={[at(p, a), at(p, b)]} names={[called(a), called(b)]} />}</Shown>}</Shown>
		</>
	)
}

// usePages reads on, page beside page, where one of two answers is a list that goes on: as far as pagesMost of each. What it gives meanwhile is what was read so far.
function usePages(p: Compared, x: Answer, y: Answer, paths: [string, string]): { x: Answer; y: Answer; reading: boolean; problem: Problem | undefined } {
	const [more, setMore] = useState<{ of: [Answer, Answer]; x: Answer; y: Answer; pages: number; problem?: Problem } | null>(null)
	const mine = more && more.of[0] === x && more.of[1] === y ? more : { x, y, pages: 1 } as { x: Answer; y: Answer; pages: number; problem?: Problem }
	const on = p.id !== undefined && !p.more && !p.tail && (mine.x.next_cursor ?? mine.y.next_cursor) !== undefined && mine.pages < pagesMost && !mine.problem
	useEffect(() => {
		if (!on) return
		const abort = new AbortController()
		const next = async (a: Answer, path: string): Promise<Answer> => {
			if (a.next_cursor === undefined) return a
			const page = await ask<Answer>(url(path, { cursor: String(a.next_cursor) }), abort.signal, exact)
			return { ...page, items: [...(a.items as Answer[]), ...(page.items as Answer[])] }
		}
		Promise.all([next(mine.x, paths[0]), next(mine.y, paths[1])]).then(
			([a, b]) => { if (!abort.signal.aborted) setMore({ of: [x, y], x: a, y: b, pages: mine.pages + 1 }) },
			(e: unknown) => { if (!abort.signal.aborted) setMore({ of: [x, y], x: mine.x, y: mine.y, pages: mine.pages, problem: e instanceof Problem ? e : new Problem({ title: String(e) }) }) },
		)
		return () => abort.abort()
	}, [on, mine.x, mine.y])
	return { x: mine.x, y: mine.y, reading: on, problem: mine.problem }
}

function Changed({ p, x, y, paths, names }: { p: Compared; x: Answer; y: Answer; paths: [string, string]; names: [string, string] }) {
	const all = usePages(p, x, y, paths)
	const { changes, bounded, rows } = useMemo(() => differences(p, all.x, all.y), [p.path, all.x, all.y])
	return (
		<>
			{all.problem && <Fault problem={all.problem} />}
			{all.reading ? <p class="dim" data-comparing="">{t.comparing(count(rows))}</p> : bounded && <p class="warn">{t.comparedOf(count(rows))}</p>}
			{(!all.reading || changes.length > 0) && <Diff changes={changes} names={names} />}
		</>
	)
}

function EventsBetween({ a, b, stream, prefix, first }: { a: Side; b: Side; stream: string | undefined; prefix: string | undefined; first: boolean }) {
	const path = url('/api/v1/audit', { known_after: a.known, known_at: b.known, stream, stream_prefix: prefix, limit: 200 })
	const got = own(path, useGet<Between>(path, { views: ['log'], hold: true }))
	return (
		<>
			<h3>{first ? t.between : prefix} <News n={got.news} show={got.again} /></h3>
			<Shown got={got} rows={2}>{p => {
				const facts = Object.entries(p.facts ?? {}).filter(([, n]) => n > 0)
				return (
					<>
						{first && facts.length > 0 && <p class="dim" data-facts="">{facts.map(([topic, n]) => <span key={topic} class="pair"><a href={to(['events', topic])}>{topic}</a> {count(n)}</span>)}</p>}
						{p.items.length === 0 ? <p class="dim">{t.none}</p> : <EntryList items={p.items} />}
						{p.next_cursor && <p class="warn">{t.truncated(p.items.length)}</p>}
					</>
				)
			}}</Shown>
		</>
	)
}
