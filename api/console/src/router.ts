// The address is the only state of a page: what is shown, as known when, filtered and ordered how. Everything here reads it and writes it.
import { computed, signal } from '@preact/signals'

const base = '/ui/'

export interface Place {
	segments: string[] // of the path behind /ui/, decoded
	params: URLSearchParams
	entry: string // of the browser's history
}

function decoded(segment: string): string {
	try {
		return decodeURIComponent(segment)
	} catch {
		return segment
	}
}

// fromMLflow leads on from the addresses that MLflow's clients print, whose pages stand behind #: of an experiment, a run, a model and a version.
function fromMLflow() {
	if (!location.hash.startsWith('#/')) return
	const [what = '', id = '', of = '', n = ''] = (location.hash.slice(2).split('?')[0] ?? '').split('/').map(decoded)
	const segments = what === 'experiments' ? (of === 'runs' && n !== '' ? ['runs', n] : ['runs']) : what === 'models' ? ['models', id, of === 'versions' ? n : ''] : []
	const query = what === 'experiments' && segments.length === 1 && id !== '' ? `?experiment=${encodeURIComponent(id)}` : ''
	history.replaceState(history.state, '', base + segments.filter(s => s !== '').map(encodeURIComponent).join('/') + query)
}

function read(): Place {
	fromMLflow()
	const path = location.pathname.startsWith(base) ? location.pathname.slice(base.length) : ''
	const state = history.state as { entry?: string } | null
	let entry = state?.entry
	if (!entry) {
		entry = fresh()
		history.replaceState({ entry }, '')
	}
	return { segments: path.split('/').filter(s => s !== '').map(decoded), params: new URLSearchParams(location.search), entry }
}

let counted = 0
function fresh(): string {
	counted++
	return `${Date.now().toString(36)}-${counted}`
}

export const place = signal<Place>(read())
export const page = computed(() => place.value.segments[0] ?? '')

// dated are the pages that know event time: the address of another has no as_of.
const dated = new Set(['try', 'people', 'films', 'features'])

// The moments of the address. as_of is of pages that know event time.
export const knownAt = computed(() => place.value.params.get('known_at') ?? '')
export const asOf = computed(() => (dated.has(page.value) ? place.value.params.get('as_of') ?? '' : ''))

export type Params = Record<string, string | number | boolean | null | undefined>

function query(params: Params): string {
	const kept = Object.entries(params).filter(([, v]) => v !== undefined && v !== null && v !== '' && v !== false).map(([k, v]) => [k, String(v)] as [string, string])
	kept.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
	const text = new URLSearchParams(kept).toString().replaceAll('%2F', '/').replaceAll('%3A', ':').replaceAll('%40', '@').replaceAll('%2C', ',')
	return text === '' ? '' : `?${text}`
}

const pathOf = (segments: (string | number)[]): string => segments.map(s => encodeURIComponent(String(s)).replaceAll('%40', '@').replaceAll('%3A', ':')).join('/')

// to is the address of a page, with the moments that are looked at: as_of where the page knows event time, and, of the very page that is shown, such as another
// of its tabs, those that it is held against. Segments are encoded here.
export function to(segments: (string | number)[], params: Params = {}): string {
	const path = pathOf(segments)
	const { segments: here, params: given } = place.value
	const against = path === pathOf(here) ? { vs_known_at: given.get('vs_known_at'), vs_as_of: given.get('vs_as_of') } : {}
	return base + path + query({ known_at: knownAt.value, as_of: dated.has(String(segments[0] ?? '')) ? asOf.value : '', ...against, ...params })
}

// Where readers were on a page, by the entry of the history, so that back leads to it.
interface Kept {
	scrolls: Record<string, number>
	focus: string
}
const memory = new Map<string, Kept>(load())

function load(): [string, Kept][] {
	try {
		return JSON.parse(sessionStorage.getItem('kept') ?? '[]') as [string, Kept][]
	} catch {
		return []
	}
}

function keep() {
	const scrolls: Record<string, number> = {}
	for (const e of document.querySelectorAll<HTMLElement>('[data-scroll]')) scrolls[e.dataset.scroll ?? ''] = e.scrollTop
	const focused = document.activeElement?.closest<HTMLElement>('[data-focus]')
	memory.delete(place.value.entry)
	memory.set(place.value.entry, { scrolls, focus: focused?.dataset.focus ?? '' })
	for (const oldest of memory.keys()) {
		if (memory.size <= 50) break
		memory.delete(oldest)
	}
}
addEventListener('pagehide', () => {
	keep()
	try {
		sessionStorage.setItem('kept', JSON.stringify([...memory]))
	} catch {
		// without storage a reload begins at the top
	}
})

// restored is where a scroller of this entry was left, 0 for one that was not.
export const restored = (scroller: string): number => memory.get(place.value.entry)?.scrolls[scroller] ?? 0
export const restoredFocus = (): string => memory.get(place.value.entry)?.focus ?? ''

export function go(href: string, replace = false) {
	keep()
	if (replace) history.replaceState({ entry: place.value.entry }, '', href)
	else history.pushState({ entry: fresh() }, '', href)
	place.value = read()
}

// set changes parameters of the address. Typing and dragging replace the entry, decisions make a new one.
export function set(changes: Params, replace = false) {
	const all: Params = Object.fromEntries(place.value.params)
	const href = base + pathOf(place.value.segments) + query({ ...all, ...changes })
	if (href !== location.pathname + location.search) go(href, replace)
}

addEventListener('popstate', () => {
	const before = place.value.entry
	const scrolls: Record<string, number> = {}
	for (const e of document.querySelectorAll<HTMLElement>('[data-scroll]')) scrolls[e.dataset.scroll ?? ''] = e.scrollTop
	memory.set(before, { scrolls, focus: document.activeElement?.closest<HTMLElement>('[data-focus]')?.dataset.focus ?? '' })
	place.value = read()
})
history.scrollRestoration = 'manual'

// follow makes links within the console changes of the address, unless the user wants another tab.
export function follow(e: MouseEvent) {
	const a = (e.target as Element).closest?.('a')
	if (!a || e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey || a.target || a.hasAttribute('download')) return
	if (a.origin !== location.origin || !a.pathname.startsWith(base)) return
	e.preventDefault()
	go(a.pathname + a.search)
}
