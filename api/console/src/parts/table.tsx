// A table of any number of rows, of which those in sight are drawn. Rows have one height; the row that has the focus is always drawn.
import type { ComponentChildren } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { density, narrow } from '../settings'
import { go, place, restored } from '../router'
import { t } from '../text'

export interface Column<T> {
	id: string
	head: string
	width: string // of a grid's track
	cell: (row: T, i: number) => ComponentChildren
	num?: boolean
	sorts?: boolean
	line?: 1 | 2 // where it stands in a narrow window; without it nowhere
}

interface Props<T> {
	id: string
	label: string
	rows: T[]
	columns: Column<T>[]
	keyOf: (row: T) => string
	href?: (row: T) => string
	sort?: string // a column's id, with - before it the other way
	onSort?: (sort: string) => void
	selected?: Set<string>
	onSelect?: (key: string) => void
	onRow?: (row: T | undefined) => void // that the cursor is on
	total?: number // rows there are, if more than these; -1 is not known
	more?: (() => void) | undefined // the end is near
	fresh?: Set<string> // rows that have just changed
	of?: string // what is shown: of something else it is shown from its top
}

const overscan = 6

export function Table<T>(p: Props<T>) {
	const scroller = useRef<HTMLDivElement>(null)
	const [top, setTop] = useState(0)
	const [height, setHeight] = useState(600)
	const [cursor, setCursor] = useState(0)
	const [focused, setFocused] = useState(false)
	const small = narrow.value
	const rowHeight = small ? 52 : density.value === 'compact' ? 24 : 28
	const headHeight = small ? 0 : rowHeight
	const columns = small ? p.columns.filter(c => c.line) : p.columns
	const entry = place.value.entry

	useLayoutEffect(() => {
		const e = scroller.current
		if (!e) return
		const watch = new ResizeObserver(() => setHeight(e.clientHeight))
		watch.observe(e)
		setHeight(e.clientHeight)
		return () => watch.disconnect()
	}, [])
	const some = p.rows.length > 0
	useLayoutEffect(() => {
		const e = scroller.current
		if (!e || !some) return
		e.scrollTop = restored(p.id)
		setTop(e.scrollTop)
	}, [entry, some])

	const shown = useRef(p.of)
	useLayoutEffect(() => {
		if (shown.current === p.of) return
		shown.current = p.of
		setCursor(0)
		setTop(0)
		if (scroller.current) scroller.current.scrollTop = 0
	}, [p.of])

	const first = Math.max(0, Math.floor(top / rowHeight) - overscan)
	const last = Math.min(p.rows.length, Math.ceil((top + height) / rowHeight) + overscan)
	useEffect(() => {
		if (p.more && last >= p.rows.length - overscan) p.more()
	}, [last, p.rows.length, p.more])

	const at = Math.min(cursor, Math.max(0, p.rows.length - 1))
	const move = (to: number) => {
		const i = Math.max(0, Math.min(p.rows.length - 1, to))
		setCursor(i)
		p.onRow?.(p.rows[i])
		const e = scroller.current
		if (!e) return
		const y = i * rowHeight
		if (y < e.scrollTop) e.scrollTop = y
		else if (y + rowHeight > e.scrollTop + e.clientHeight - headHeight) e.scrollTop = y + rowHeight - e.clientHeight + headHeight
		setTop(e.scrollTop)
		requestAnimationFrame(() => e.querySelector<HTMLElement>(`[data-row="${i}"]`)?.focus({ preventScroll: true }))
	}
	const onKey = (e: KeyboardEvent) => {
		const page = Math.max(1, Math.floor(height / rowHeight) - 1)
		const steps: Record<string, number> = { ArrowDown: at + 1, j: at + 1, ArrowUp: at - 1, k: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: p.rows.length - 1 }
		const key = e.key.length === 1 && e.key.charCodeAt(0) > 127 ? e.code.replace(/^Key/, '').toLowerCase() : e.key
		const row = p.rows[at]
		if (e.ctrlKey || e.metaKey || e.altKey || (e.target as Element).matches('input, select, textarea, button')) return
		if (steps[key] !== undefined) move(steps[key])
		else if (key === 'Enter' && row !== undefined && p.href && !(e.target as Element).matches('a')) go(p.href(row))
		else if (key === 'x' && row !== undefined && p.onSelect) p.onSelect(p.keyOf(row))
		else return
		e.preventDefault()
		e.stopPropagation()
	}
	// Keys of the page reach the table also while nothing of it has the focus.
	useEffect(() => {
		const onPage = (e: Event) => {
			const by = (e as CustomEvent<number>).detail
			move(focused ? at + by : Math.max(first + (top > 0 ? overscan : 0), at))
		}
		addEventListener('console:row', onPage)
		return () => removeEventListener('console:row', onPage)
	})

	const indices: number[] = []
	if (focused && at < first && some) indices.push(at)
	for (let i = first; i < last; i++) indices.push(i)
	if (focused && at >= last && some) indices.push(at)

	const least = (width: string) => Number(/(\d+)px/.exec(width)?.[1] ?? 80)
	const minWidth = small ? '0' : `${columns.reduce((n, c) => n + least(c.width) + 12, p.onSelect ? 64 : 24)}px`
	const template = `${p.onSelect ? '28px ' : ''}${columns.map(c => c.width).join(' ')}`
	const head = p.sort?.replace(/^-/, '')
	return (
		<div class={small ? 'table small' : 'table'} role="grid" aria-label={p.label} aria-rowcount={p.total !== undefined && p.total < 0 ? -1 : (p.total ?? p.rows.length) + 1} aria-colcount={columns.length + (p.onSelect ? 1 : 0)}
			aria-multiselectable={p.onSelect ? true : undefined} ref={scroller} data-scroll={p.id} onScroll={e => setTop(e.currentTarget.scrollTop)} onKeyDown={onKey}
			onFocusIn={() => setFocused(true)} onFocusOut={e => { if (!e.currentTarget.contains(e.relatedTarget as Node | null)) setFocused(false) }}>
			<div class="row head" role="row" aria-rowindex={1} style={{ gridTemplateColumns: template, minWidth }}>
				{p.onSelect && <span role="columnheader" aria-label={t.selected} />}
				{columns.map(c => (
					<span key={c.id} role="columnheader" class={c.num ? 'num' : ''} title={c.head} aria-sort={head === c.id ? (p.sort?.startsWith('-') ? 'descending' : 'ascending') : undefined}>
						{c.sorts && p.onSort ? <button type="button" data-focus={`sort-${c.id}`} onClick={() => p.onSort?.(p.sort === `-${c.id}` ? c.id : p.sort === c.id ? '' : `-${c.id}`)}>{c.head}{head === c.id && <i aria-hidden="true">{p.sort?.startsWith('-') ? ' ↓' : ' ↑'}</i>}</button> : c.head}
					</span>
				))}
			</div>
			<div class="rows" role="rowgroup" style={{ height: `${p.rows.length * rowHeight}px`, minWidth }}>
				{indices.map(i => {
					const row = p.rows[i]
					if (row === undefined) return null
					const key = p.keyOf(row)
					return (
						<div key={key} class={`row${p.fresh?.has(key) ? ' fresh' : ''}`} role="row" aria-rowindex={i + 2} data-row={i} data-focus={`row-${p.id}-${i}`} tabIndex={i === at ? 0 : -1} aria-selected={p.selected ? p.selected.has(key) : undefined}
							style={{ transform: `translateY(${i * rowHeight}px)`, height: `${rowHeight}px`, gridTemplateColumns: template }}
							onFocus={() => { if (i !== at) { setCursor(i); p.onRow?.(row) } }}
							onClick={e => { if (p.href && !(e.target as Element).closest('a, button, input, label')) { setCursor(i); if (!getSelection()?.toString()) go(p.href(row)) } }}>
							{p.onSelect && <span role="gridcell"><input type="checkbox" tabIndex={-1} aria-label={t.select(key)} checked={p.selected?.has(key) ?? false} onChange={() => p.onSelect?.(key)} /></span>}
							{small
								? <>{[1, 2].map(n => <span key={n} class={`line${n}`} role="gridcell">{columns.filter(c => c.line === n).map(c => <span key={c.id} class={c.num ? 'num' : ''}>{c.cell(row, i)}</span>)}</span>)}</>
								: columns.map(c => <span key={c.id} role="gridcell" class={c.num ? 'num' : ''}>{c.cell(row, i)}</span>)}
						</div>
					)
				})}
			</div>
		</div>
	)
}
