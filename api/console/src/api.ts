// Asking /api/v1. What is asked as known at a moment is asked with that moment, always: a route that does not know moments refuses it, and the
// page says so.
import { signal } from '@preact/signals'
import { useEffect, useRef, useState } from 'preact/hooks'
import { parseExact } from './exact'
import { arrived, behind, type Changes, isTold, offsets, onChanges, readEarly } from './live'
import { knownAt, type Params } from './router'
import { t } from './text'

export interface FieldProblem {
	field?: string
	message: string
	hint?: string
}

// Problem is why there is no answer. Status 0: the server was not reached.
export class Problem extends Error {
	status = 0
	title = ''
	detail = ''
	hint = ''
	field = ''
	requestId = ''
	errors: FieldProblem[] = []
	cut = '' // up to which it is read
	constructor(p: Partial<Problem>) {
		super(p.detail ?? p.title ?? '')
		Object.assign(this, p)
	}
}

// unheard says that nothing was heard of the server: what it said before may still be so.
const unheard = (p: Problem): boolean => p.status === 0 || p.status === 504

export const needsSession = signal(false)

async function problemOf(r: Response): Promise<Problem> {
	const p = new Problem({ status: r.status, title: `${r.status} ${r.statusText}`, requestId: r.headers.get('X-Request-ID') ?? '', cut: r.headers.get('Read-Cut') ?? '' })
	try {
		const body = (await r.json()) as Record<string, unknown>
		p.title = String(body.title ?? p.title)
		p.detail = String(body.detail ?? '')
		p.hint = String(body.hint ?? '')
		p.field = String(body.field ?? '')
		p.errors = (body.errors as FieldProblem[] | undefined) ?? []
	} catch {
		// no problem document: the status is all that is known
	}
	if (r.status === 401) needsSession.value = true
	return p
}

export async function send(path: string, init: RequestInit = {}): Promise<Response> {
	let r: Response
	try {
		r = await fetch(path, { credentials: 'same-origin', ...init })
	} catch (e) {
		if (init.signal?.aborted) throw e
		throw new Problem({ status: 0 })
	}
	if (!r.ok) throw await problemOf(r)
	return r
}

// The kinds of answers.
type Read = (text: string) => unknown
export const json: Read = text => JSON.parse(text)
export const exact: Read = text => parseExact(text)

// patienceMost is how long an answer is waited for, in milliseconds: longer than the server itself works at one of a moment.
const patienceMost = 120_000

// ask gets an answer, whole. One that does not come in time is given up. read is told up to which cut it is read, of one that changes.
export async function ask<T>(path: string, signal?: AbortSignal, as: Read = json, read?: (cut: string) => void): Promise<T> {
	const late = new AbortController()
	const timer = setTimeout(() => late.abort(), patienceMost)
	const early = !isTold()
	const note = (cut: string) => {
		if (!read || cut === '') return
		read(cut)
		if (early) readEarly(cut)
	}
	try {
		const r = await send(path, { signal: signal ? AbortSignal.any([signal, late.signal]) : late.signal, ...(read ? { headers: { Prefer: 'read-cut' } } : {}) })
		note(r.headers.get('Read-Cut') ?? '')
		return as(await r.text()) as T
	} catch (e) {
		if (e instanceof Problem) note(e.cut)
		if (late.signal.aborted && !signal?.aborted) throw new Problem({ status: 504, title: t.noAnswer(patienceMost / 1000) })
		throw e
	} finally {
		clearTimeout(timer)
	}
}

// command asks for a change. A key makes a repetition, as by a double click, the same one.
export async function command<T>(method: string, path: string, body: unknown, more: { key?: string; revision?: number; goesOn?: boolean; raw?: boolean } = {}): Promise<T> {
	const headers: Record<string, string> = { 'Content-Type': 'application/json', 'Idempotency-Key': more.key ?? crypto.randomUUID?.() ?? String(Math.random()).slice(2) }
	if (more.revision !== undefined) headers['If-Match'] = `"${more.revision}"`
	if (more.goesOn) headers.Prefer = 'respond-async' // and is an operation
	const r = await send(path, { method, headers, body: more.raw ? String(body) : JSON.stringify(body) }) // raw: it is JSON as it stands
	return (r.status === 204 ? undefined : await r.json()) as T
}

// url is an address of the API with parameters; those without a value are left out.
export function url(path: string, params: Params = {}): string {
	const q = new URLSearchParams()
	for (const [k, v] of Object.entries(params)) if (v !== undefined && v !== null && v !== '' && v !== false) q.set(k, String(v))
	const text = q.toString()
	return text === '' ? path : `${path}${path.includes('?') ? '&' : '?'}${text}`
}

// then is an address as known at the page's moment.
export const then = (path: string, params: Params = {}): string => url(path, { ...params, known_at: knownAt.value })

export const segment = encodeURIComponent

// What of the past was answered stays as it is: it is not asked for again. It is kept by its address and by how its numbers were read, with the letters that it had.
const past = new Map<string, { data: unknown; letters: number }>()
const answersMost = 64
const lettersMost = 32e6 // of them all
let letters = 0
const keptAs = (path: string, as?: Read): string => (as === exact ? `exact ${path}` : path)
function forget(key: string) {
	letters -= past.get(key)?.letters ?? 0
	past.delete(key)
}
function remember(key: string, data: unknown, n: number) {
	forget(key)
	if (n > lettersMost) return
	past.set(key, { data, letters: n })
	letters += n
	for (const oldest of past.keys()) {
		if (past.size <= answersMost && letters <= lettersMost) break
		forget(oldest)
	}
}

// endOf is when a moment is over, in Unix milliseconds: 0 for a part of the log, by a position, an offset or a cut.
export function endOf(moment: string): number {
	if (/[@/]/.test(moment)) return 0
	if (!/^\d+$/.test(moment)) return Date.parse(moment.replace(' ', '+'))
	const n = Number(moment)
	return n < 1e9 ? 0 : n < 1e11 ? n * 1000 : n
}

// isPast is whether an address asks for what was known at a moment that is over.
export function isPast(path: string): boolean {
	const moment = new URL(path, location.origin).searchParams.get('known_at') ?? ''
	return moment !== '' && endOf(moment) < Date.now()
}

export interface Got<T> {
	data?: T
	of?: string // the address that data is the answer of: it stays while that of another is on its way
	problem?: Problem
	loading: boolean
	news: number // changes that are not shown yet
	again: () => void
}

export interface Options {
	views?: string[] // whose changes make the answer another; "log" are all records, "log/TOPIC" those of a topic
	id?: string // of what the views have it is about this alone
	hold?: boolean // changes are counted, and shown when they are asked for
	as?: Read
}

// counted is how much of what some views answer has changed since it was read up to a cut, or whether that of an id has: 1 where that is all that is told.
const counted = (c: Changes, read: string, views: string[], id?: string): number => c.missed && !behind(read, c.cut) ? 0 : views.reduce((n, v) => n + (v === 'log' ? c.events : v.startsWith('log/') ? arrived(c, v.slice(4), offsets(read, v.slice(4))) : !(v in c.views) ? 0 : id === undefined ? (c.views[v]?.length ?? 1) : Number(c.views[v]?.includes(id) ?? true)), 0)

// answered is what a state has as data, and the address that it is the answer of.
const answered = <T,>(s: { of?: string; data?: T }) => ({ ...(s.of === undefined ? {} : { of: s.of }), ...(s.data === undefined ? {} : { data: s.data }) })

// asked are the addresses that what is shown is the answer of, and how often each is there.
export const asked = signal<Map<string, number>>(new Map())
function note(path: string, n: number) {
	const all = new Map(asked.peek())
	const left = (all.get(path) ?? 0) + n
	if (left > 0) all.set(path, left)
	else all.delete(path)
	asked.value = all
}

// useGet asks, and asks again when what was asked has changed. While it does, what it had stays; what cannot be had is of no other address.
export function useGet<T>(path: string | null, options: Options = {}): Got<T> {
	const [state, setState] = useState<{ path: string | null; of?: string; data?: T; problem?: Problem; loading: boolean }>({ path: null, loading: path !== null })
	const [news, setNews] = useState(0)
	const { views, id, hold, as } = options
	const latest = useRef({ views, id, hold, path })
	latest.current = { views, id, hold, path }
	const again = useRef(() => {})
	const read = useRef('') // the cut up to which what is shown is read

	useEffect(() => {
		if (path === null) return
		note(path, 1)
		return () => note(path, -1)
	}, [path])

	// One request is under way at a time, and none is given up for news: what changes meanwhile is asked for behind it.
	useEffect(() => {
		if (path === null) {
			again.current = () => {}
			setState({ path, loading: false })
			return
		}
		const abort = new AbortController()
		let busy = false
		let dirty = false
		const look = () => {
			if (abort.signal.aborted) return
			if (busy) {
				dirty = true
				return
			}
			setNews(0)
			const known = past.get(keptAs(path, as))
			if (known !== undefined) {
				setState({ path, of: path, data: known.data as T, loading: false })
				return
			}
			busy = true
			const stays = isPast(path)
			setState(s => ({ path, ...answered(s), ...(s.path === path && s.problem ? { problem: s.problem } : {}), loading: true }))
			let n = 0
			ask<T>(path, abort.signal, text => {
				n = text.length
				return (as ?? json)(text)
			}, latest.current.views && !stays ? cut => { read.current = cut } : undefined).then(
				data => {
					if (stays) remember(keptAs(path, as), data, n)
					if (!abort.signal.aborted) setState({ path, of: path, data, loading: false })
				},
				(e: unknown) => {
					if (abort.signal.aborted) return
					const problem = e instanceof Problem ? e : new Problem({ title: String(e) })
					setState(s => ({ path, ...(s.of === path && unheard(problem) ? answered(s) : {}), problem, loading: false }))
				},
			).finally(() => {
				busy = false
				if (!dirty) return
				dirty = false
				look()
			})
		}
		again.current = look
		look()
		return () => abort.abort()
	}, [path, as])

	useEffect(() => {
		let waiting: ReturnType<typeof setTimeout> | undefined
		const stop = onChanges(c => {
			const now = latest.current
			if (c.anew) {
				for (const key of past.keys()) forget(key)
				again.current()
				return
			}
			if (!now.views || !now.path || isPast(now.path)) return
			const n = counted(c, read.current, now.views, now.id)
			if (n === 0) return
			if (now.hold) setNews(before => before + n)
			else waiting ??= setTimeout(() => {
				waiting = undefined
				again.current()
			}, 300)
		})
		return () => {
			stop()
			clearTimeout(waiting)
		}
	}, [])

	return { ...answered(state), ...(state.problem ? { problem: state.problem } : {}), loading: state.loading, news, again: () => again.current() }
}
