// A list that comes in pages: the first as it changes, the others as they are wanted.
import type { ComponentChildren } from 'preact'
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { ask, type Options, Problem, url, useGet } from '../api'
import { place } from '../router'
import { t } from '../text'
import type { Page } from '../types'
import { Empty, Fault, Skeleton } from './states'

export interface Paged<T> {
	rows: T[] | null // null: not had yet
	next: string // "" at the end
	problem: Problem | undefined
	news: number
	again: () => void
	more: (() => void) | undefined // of the last page; none while one is on its way
	empty: boolean // the last page has no rows, and is not the last: its server looked at as much as it does at once
}

// How many rows of a list there were, by the entry of the history: whoever comes back finds them all, and the place among them.
const sizes = new Map<string, number>()
function keepSize(key: string, n: number) {
	sizes.delete(key)
	sizes.set(key, n)
	for (const oldest of sizes.keys()) {
		if (sizes.size <= 50) break
		sizes.delete(oldest)
	}
}

export function usePaged<T>(path: string | null, options: Options = {}): Paged<T> {
	const got = useGet<Page<T>>(path, options)
	const [behind, setBehind] = useState<{ of: unknown; items: T[]; next: string; empty: boolean } | null>(null)
	const [fault, setFault] = useState<{ of: unknown; problem: Problem } | null>(null)
	const asking = useRef<unknown>(null) // behind which first page
	const latest = useRef(got.data)
	latest.current = got.data
	const mine = behind && behind.of === got.data ? behind : null
	const next = (mine ? mine.next : got.data?.next_cursor) ?? ''
	const rows = useMemo(() => (got.data ? [...got.data.items, ...(mine?.items ?? [])] : null), [got.data, mine])
	const more = useMemo(() => {
		if (next === '' || path === null || got.loading) return undefined
		return () => {
			const of = got.data
			if (asking.current === of) return
			asking.current = of
			ask<Page<T>>(url(path, { cursor: next })).then(
				p => setBehind(b => latest.current !== of ? b : ({ of, items: [...(b && b.of === of ? b.items : []), ...p.items], next: p.next_cursor ?? '', empty: p.items.length === 0 && p.next_cursor !== undefined })),
				(e: unknown) => setFault({ of, problem: e instanceof Problem ? e : new Problem({ title: String(e) }) }),
			).finally(() => { if (asking.current === of) asking.current = null })
		}
	}, [next, path, got.loading, got.data])
	const problem = got.problem ?? (fault?.of === got.data ? fault?.problem : undefined)
	const key = `${place.value.entry} ${path}`
	const wanted = useRef({ key, n: sizes.get(key) ?? 0 })
	if (wanted.current.key !== key) wanted.current = { key, n: sizes.get(key) ?? 0 } // another list in the same place
	const short = rows !== null && rows.length < wanted.current.n && next !== '' && !problem
	useEffect(() => {
		if (short) more?.()
		else if (rows !== null) {
			wanted.current.n = 0
			keepSize(key, rows.length)
		}
	}, [short, more, rows, key])
	return { rows: short ? null : rows, next, problem, news: got.news, again: () => { setFault(null); got.again() }, more: problem ? undefined : more, empty: mine?.empty ?? (got.data?.items.length === 0 && next !== '') }
}

// Listed draws the rows that there are, and asks for more; without any it says why, once the list has been looked through.
export function Listed<T>({ list, why, children }: { list: Paged<T>; why: string; children: (rows: T[]) => ComponentChildren }) {
	const { rows, next, problem } = list
	return (
		<>
			{problem && <Fault problem={problem} again={list.again} />}
			{rows === null ? !problem && <Skeleton /> : rows.length > 0 ? children(rows) : next === '' && <Empty why={why} />}
			{rows && <p class="dim foot">{t.shown(rows.length)}{next !== '' && <button type="button" class="quiet" onClick={() => list.more?.()}>{t.more}</button>}</p>}
		</>
	)
}
