// What stands where something is not there: not yet, not at all, or not now.
import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Got, Problem } from '../api'
import { knownAt } from '../router'
import { state } from '../live'
import { t } from '../text'

// Skeleton shows itself after 150 ms: what comes sooner does not flicker. After 10 s it says that it takes long.
export function Skeleton({ rows = 6 }: { rows?: number }) {
	const [shown, show] = useState(false)
	const [long, say] = useState(false)
	useEffect(() => {
		const timers = [setTimeout(() => show(true), 150), setTimeout(() => say(true), 10_000)]
		return () => timers.forEach(clearTimeout)
	}, [])
	return (
		<div class="skeleton" role="status">
			{long ? <p class="dim">{t.takesLong}</p> : <span class="hidden">{t.loading}</span>}
			{shown && Array.from({ length: rows }, (_, i) => <i key={i} />)}
		</div>
	)
}

// Empty says why there is nothing, and what would fill it.
export function Empty({ why, command }: { why: string; command?: string }) {
	return (
		<div class="empty">
			<p>{knownAt.value ? t.emptyThen : why}</p>
			{command && !knownAt.value && <pre>{command}</pre>}
		</div>
	)
}

// passing are the problems of a server that is away, or not ready: what it answers when it is back is another.
const passing = [0, 503, 504]

export function Fault({ problem, again }: { problem: Problem; again?: () => void }) {
	const latest = useRef<(() => void) | undefined>(again)
	latest.current = again
	useEffect(() => {
		if (!passing.includes(problem.status)) return
		let was = true
		return state.subscribe(({ live, ready }) => {
			const well = live && ready
			if (well && !was) latest.current?.()
			was = well
		})
	}, [problem])
	const offline = problem.status === 0
	const refused = problem.status === 400 && problem.field === 'known_at' && /not taken/.test(problem.detail)
	return (
		<div class="fault" role="alert">
			<b>{offline ? t.offline : refused ? t.notThen : problem.title}</b>
			{problem.detail && <p>{problem.field && !refused ? `${problem.field}: ` : ''}{problem.detail}</p>}
			{problem.errors.length > 1 && <ul>{problem.errors.map((e, i) => <li key={i}>{e.field ? `${e.field}: ` : ''}{e.message}</li>)}</ul>}
			{problem.hint && <p class="hint">{problem.hint}</p>}
			<p class="dim">{problem.requestId && <>{t.request} <code>{problem.requestId}</code> </>}{again && <button type="button" onClick={again}>{t.retry}</button>}</p>
		</div>
	)
}

// Shown draws what was got, or says what there is instead, under the head of the page where that has one. Old data stays while new data is on its way, and when the
// server is gone.
export function Shown<T>({ got, children, rows, head }: { got: Got<T>; children: (data: T) => ComponentChildren; rows?: number; head?: ComponentChildren }) {
	if (got.data === undefined) return got.problem ? <>{head}<Fault problem={got.problem} again={got.again} /></> : <Skeleton rows={rows ?? 6} />
	return (
		<>
			{got.problem && <Fault problem={got.problem} again={got.again} />}
			{children(got.data)}
		</>
	)
}

// News are changes that wait to be shown, so that nothing moves under whoever reads.
export function News({ n, show }: { n: number; show: () => void }) {
	return n === 0 ? null : <button type="button" class="news" data-key="." onClick={show}>{t.newRows(n)}</button>
}

export function Stale() {
	const s = state.value
	return s.live || !s.opened ? null : <span class="stale" role="status">{t.staleSince(new Date(s.since).toLocaleTimeString(document.documentElement.lang))}</span>
}
