// The keyboard: what each key does is said once, here and by the pages, and ? lists it.
import { signal } from '@preact/signals'
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks'
import { keysOn } from './settings'
import { t } from './text'

export interface Binding {
	keys: string // "g r", "Ctrl+K", "?"
	does: string
	run: () => void
	off?: string // why not now
}

const bound = signal<Binding[][]>([])

// useKeys binds keys while a component is shown; the latest that binds a key has it.
export function useKeys(list: Binding[]) {
	const mine = useRef(list)
	mine.current.splice(0, mine.current.length, ...list)
	useEffect(() => {
		const own = mine.current
		bound.value = [...bound.peek(), own]
		return () => { bound.value = bound.peek().filter(l => l !== own) }
	}, [])
}

// name is a key as bindings write it. In another alphabet, as in Hangul mode, it is where the key is that counts.
function name(e: KeyboardEvent): string {
	let key = e.key
	if (key.length === 1 && key.charCodeAt(0) > 127 || key === 'Process') {
		const letter = /^Key([A-Z])$/.exec(e.code)?.[1]
		const others: Record<string, [string, string]> = { Slash: ['/', '?'], Period: ['.', '>'], BracketLeft: ['[', '{'], BracketRight: [']', '}'] }
		if (letter) key = e.shiftKey ? letter : letter.toLowerCase()
		else key = others[e.code]?.[e.shiftKey ? 1 : 0] ?? key
	}
	if (key === ' ') key = 'Space'
	if (e.ctrlKey || e.metaKey) return `Ctrl+${key.toUpperCase()}`
	return key
}

const inField = (e: Event) => (e.target as Element).closest?.('input:not([type=checkbox]), textarea, select, [contenteditable]') !== null
const inDialog = () => document.querySelector('dialog[open]') !== null

let before = ''
let since = 0

export function listen() {
	addEventListener('keydown', e => {
		if (e.defaultPrevented || e.isComposing || e.altKey) return
		const key = name(e)
		const global = key === 'Ctrl+K'
		if (!global && (keysOn.peek() === 'off' || inField(e) || inDialog() || key.startsWith('Ctrl+'))) return
		if (key === 'Escape' && document.querySelector(':popover-open')) return // which it closes
		if (key === 'Space' && (e.target as Element).closest('button, a, [role=grid], summary, input')) return
		const pressed = before === 'g' && e.timeStamp - since < 1500 ? `g ${key}` : key
		before = key
		since = e.timeStamp
		const all = bound.peek().flat()
		const hit = all.findLast(b => b.keys === pressed) ?? all.findLast(b => b.keys === key)
		if (!hit) return
		e.preventDefault()
		if (pressed !== key) before = ''
		if (hit.off) announce(hit.off)
		else hit.run()
	})
}

// announced is said to whoever listens rather than looks, and shown for a while.
export const announced = signal('')
let silence: ReturnType<typeof setTimeout> | undefined
export function announce(text: string) {
	announced.value = text
	clearTimeout(silence)
	silence = setTimeout(() => { announced.value = '' }, 4000)
}

// back gives the focus to what a dialog was opened from; where that goes, as by what the dialog did, to the page's title.
function back(from: Element | null) {
	if (from instanceof HTMLElement && from.isConnected) from.focus()
	let looks = 0
	const look = () => {
		if (inDialog()) return
		const title = document.querySelector<HTMLElement>('main h1')
		if (title && (document.activeElement === document.body || document.activeElement === null)) title.focus({ preventScroll: true })
		else if (looks++ < 40) setTimeout(look, 50)
	}
	setTimeout(look, 0)
}

export function Dialog({ open, close, title, children }: { open: boolean; close: () => void; title: string; children: preact.ComponentChildren }) {
	const ref = useRef<HTMLDialogElement>(null)
	const from = useRef<Element | null>(null)
	const closing = useRef(0) // times that it was closed here, and has not said so yet: by then it may be wanted again
	useLayoutEffect(() => { // before the next key comes: it is for what opens
		const d = ref.current
		if (!d) return
		if (open && !d.open) {
			from.current = document.activeElement
			d.showModal()
		} else if (!open && d.open) {
			closing.current++
			d.close()
			back(from.current)
		}
		if (!open) from.current = null
	}, [open])
	useLayoutEffect(() => () => {
		const d = ref.current
		if (d?.open) {
			closing.current++
			d.close()
		}
		if (from.current) back(from.current)
	}, [])
	return (
		<dialog ref={ref} aria-label={title} onClose={() => { if (closing.current > 0) closing.current--; else close() }} onClick={e => { if (e.target === e.currentTarget) close() }}>
			{open && <div class="dialog"><header><h2>{title}</h2><button type="button" class="quiet" onClick={close} aria-label={t.close}>✕</button></header>{children}</div>}
		</dialog>
	)
}

export const helpOpen = signal(false)

export function Help() {
	const seen = new Set<string>()
	const all = bound.value.flat().reverse().filter(b => !seen.has(b.keys) && seen.add(b.keys)).reverse()
	return (
		<Dialog open={helpOpen.value} close={() => { helpOpen.value = false }} title={t.keys}>
			<dl class="keys">
				{[...all, { keys: 'j', does: t.keyRowDown }, { keys: 'k', does: t.keyRowUp }, { keys: 'Enter', does: t.keyOpen }, { keys: 'x', does: t.keySelect }].filter((b, i, l) => l.findIndex(o => o.keys === b.keys) === i).map(b => <div key={b.keys}><dt>{b.keys.split(' ').map(k => <kbd key={k}>{k}</kbd>)}</dt><dd>{b.does}</dd></div>)}
			</dl>
			<label class="check"><input type="checkbox" checked={keysOn.value === 'on'} onChange={e => { keysOn.value = e.currentTarget.checked ? 'on' : 'off' }} /> {t.keysOn}</label>
		</Dialog>
	)
}
