// What changes, as it changes: one stream of events for all tabs of a browser. The tab that has the lock reads it and tells the others.
import { signal } from '@preact/signals'
import { Problem, send } from './api'

export interface Changes {
	from: string // the cut before
	cut: string // up to which all is told
	events: number
	views: Record<string, string[] | null> // ids that have changed, null for many
	anew?: true // the log is another: nothing that was answered holds
}

type State = { live: boolean; opened: boolean; since: number; cut: string; ready: boolean; reason: string }
type Message = { changes?: Changes; state?: State; asks?: true }

export const changes = signal<Changes | null>(null)
export const state = signal<State>({ live: false, opened: false, since: Date.now(), cut: '', ready: true, reason: '' })
export const paused = signal(false)

// offsets are those of a topic's partitions in a cut: the next of each.
const offsets = (cut: string, topic: string): Record<string, number> => Object.fromEntries(cut.split(',').filter(p => p.startsWith(`${topic}/`)).map(p => p.slice(topic.length + 1).split(':')).map(([p, next]) => [p, Number(next)]))

// arrived is how many records a topic took with some changes, those before read left out: the next offset to be read of some partitions.
export function arrived(c: Pick<Changes, 'from' | 'cut'>, topic: string, read: Record<string, number> = {}): number {
	const before = offsets(c.from, topic)
	return Object.entries(offsets(c.cut, topic)).reduce((n, [p, next]) => n + Math.max(0, next - Math.max(before[p] ?? 0, read[p] ?? 0)), 0)
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

let held: Changes | null = null
function take(m: Message) {
	if (m.state) state.value = m.state
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
	return { from: a.from, cut: b.cut, events: a.events + b.events, views, ...(a.anew || b.anew ? { anew: true } : {}) }
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
