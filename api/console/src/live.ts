// What changes, as it changes: one stream of events for all tabs of a browser. The tab that has the lock reads it and tells the others.
import { signal } from '@preact/signals'
import { Problem, send } from './api'

export interface Changes {
	from: string // the cut before
	cut: string // up to which all is told
	events: number
	views: Record<string, string[] | null> // ids that have changed, null for many
	anew?: true // the log is another: nothing that was answered holds
	missed?: true // it came before this tab was told of changes: who has read up to the cut has it
}

type State = { live: boolean; opened: boolean; since: number; cut: string; ready: boolean; reason: string }
type Message = { changes?: Changes; state?: State; asks?: true }

export const changes = signal<Changes | null>(null)
export const state = signal<State>({ live: false, opened: false, since: Date.now(), cut: '', ready: true, reason: '' })
export const paused = signal(false)

// offsets are those of a topic's partitions in a cut: the next of each.
export const offsets = (cut: string, topic: string): Record<string, number> => Object.fromEntries(cut.split(',').filter(p => p.startsWith(`${topic}/`)).map(p => p.slice(topic.length + 1).split(':')).map(([p, next]) => [p, Number(next)]))

// joined is all that two changes are of.
export const joined = (a: Pick<Changes, 'from' | 'cut'>, b: Pick<Changes, 'from' | 'cut'>) => ({ from: behind(b.from, a.from) ? b.from : a.from, cut: behind(a.cut, b.cut) ? b.cut : a.cut })

// arrived is how many records a topic took with some changes, those before read left out: the next offset to be read of some partitions.
export function arrived(c: Pick<Changes, 'from' | 'cut'>, topic: string, read: Record<string, number> = {}): number {
	const before = offsets(c.from, topic)
	return Object.entries(offsets(c.cut, topic)).reduce((n, [p, next]) => n + Math.max(0, next - Math.max(before[p] ?? 0, read[p] ?? 0)), 0)
}

// behind says whether a cut lacks what another has.
export function behind(cut: string, other: string): boolean {
	const next = Object.fromEntries(cut.split(',').map(p => p.split(':')))
	return other.split(',').some(p => Number(p.split(':')[1]) > Number(next[p.split(':')[0] ?? ''] ?? 0))
}

// least is what two cuts both have.
function least(a: string, b: string): string {
	const next = Object.fromEntries(a.split(',').map(p => p.split(':')))
	return b.split(',').map(p => p.split(':')).map(([tp, n]) => `${tp}:${Math.min(Number(n), Number(next[tp ?? ''] ?? 0))}`).join(',')
}

// onChanges calls take with what changes from now on. What was told before is no news to whoever begins to listen.
export function onChanges(take: (c: Changes) => void): () => void {
	const told = changes.peek()
	return changes.subscribe(c => { if (c && c !== told) take(c) })
}

const channel = new BroadcastChannel('projectionist-live')
let leading = false

function tell(m: Message) {
	channel.postMessage(m)
	take(m)
}

// The cut from which on this tab is told of all changes, "" before it is. What is read before then may lack what was recorded until then, and
// nobody would tell.
let toldFrom = ''
let early = '' // what all answers have that came before
let asking = false
export const isTold = (): boolean => toldFrom !== ''

// readEarly takes the cut up to which an answer is read that was asked for before this tab was told of changes: what came from there on is told now.
export function readEarly(cut: string) {
	early = early === '' ? cut : least(early, cut)
	if (!asking && toldFrom !== '' && behind(early, toldFrom)) void makeUp()
}

async function makeUp() {
	asking = true
	for (let wait = 1000; toldFrom !== '' && behind(early, toldFrom); wait = Math.min(wait * 2, 30_000)) {
		const [after, until] = [early, toldFrom]
		try {
			const c = (await (await send(`/api/v1/log/changes?after=${encodeURIComponent(after)}&until=${encodeURIComponent(until)}`)).json()) as Changes
			if (until !== toldFrom) continue // it is of another log
			if (early === after) early = until
			take({ changes: { ...c, from: after, missed: true } })
		} catch (e) {
			if (e instanceof Problem && e.status === 400) break // the log is another: all is asked anew
			await new Promise(f => setTimeout(f, wait)) // views are behind, or it is not reached
		}
	}
	asking = false
}

let held: Changes | null = null
function take(m: Message) {
	if (m.changes?.anew) toldFrom = early = ''
	if (m.state) {
		state.value = m.state
		if (toldFrom === '' && m.state.cut !== '') {
			toldFrom = m.state.cut
			if (early !== '') readEarly(early)
		}
	}
	if (m.changes && paused.peek()) held = merged(held, m.changes)
	else if (m.changes) changes.value = m.changes
}

function merged(a: Changes | null, b: Changes): Changes {
	if (!a) return b
	const views = { ...a.views }
	for (const [v, ids] of Object.entries(b.views)) {
		const before = views[v]
		views[v] = before === null || ids === null ? null : [...new Set([...(before ?? []), ...ids])]
	}
	return { ...joined(a, b), events: a.events + b.events, views, ...(a.anew || b.anew ? { anew: true } : {}), ...(a.missed && b.missed ? { missed: true } : {}) }
}

export function pause(on: boolean) {
	paused.value = on
	if (!on && held) {
		changes.value = held
		held = null
	}
}

channel.onmessage = e => {
	const m = e.data as Message
	if (m.asks) {
		if (leading) channel.postMessage({ state: state.peek() } satisfies Message)
		return
	}
	take(m)
}

const set = (s: Partial<State>) => tell({ state: { ...state.peek(), ...s } })

const address = (after: string) => `/api/v1/live${after ? `?after=${encodeURIComponent(after)}` : ''}`

// beyond is whether the server refuses a cut, as one whose log was replaced does. A stream itself does not say why it ends.
async function beyond(cut: string): Promise<boolean> {
	const abort = new AbortController()
	const late = setTimeout(() => abort.abort(), 10_000)
	try {
		await send(address(cut), { signal: abort.signal })
		return false
	} catch (e) {
		return e instanceof Problem && e.status === 400
	} finally {
		clearTimeout(late)
		abort.abort()
	}
}

// lead reads the stream for as long as this tab lives. The server is asked again where it was left: no change is missed.
function lead(): Promise<never> {
	leading = true
	let wait = 1000
	const comeBack = async () => {
		const { cut } = state.peek()
		if (cut !== '' && (await beyond(cut))) tell({ changes: { from: '', cut: '', events: 0, views: {}, anew: true }, state: { ...state.peek(), cut: '' } })
		setTimeout(open, wait)
		wait = Math.min(wait * 2, 30_000)
	}
	const open = () => {
		const source = new EventSource(address(state.peek().cut))
		source.onopen = () => {
			wait = 1000
			set({ live: true, opened: true, since: Date.now() })
		}
		source.addEventListener('change', e => {
			const c = { ...(JSON.parse(e.data as string) as Changes), from: state.peek().cut }
			tell({ changes: c, state: { ...state.peek(), live: true, cut: c.cut } })
		})
		// It comes first, behind the cut from which on this stream tells: whoever comes back goes on from there.
		source.addEventListener('readiness', e => set({ ...(JSON.parse(e.data as string) as { ready: boolean; reason: string }), cut: e.lastEventId || state.peek().cut }))
		source.onerror = () => {
			if (state.peek().live) set({ live: false, since: Date.now() })
			if (source.readyState !== EventSource.CLOSED) return // it comes back by itself
			void comeBack()
		}
	}
	open()
	return new Promise(() => {})
}

let begun = false
export function begin() {
	if (begun) return
	begun = true
	channel.postMessage({ asks: true } satisfies Message)
	if (navigator.locks) void navigator.locks.request('projectionist-live', lead)
	else void lead()
}
