// The frame: what stands around every page.
import { render } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { needsSession } from './api'
import { Find, finding } from './find'
import { announced, Help, helpOpen, listen, useKeys } from './keys'
import { begin as beginLive, pause, paused, state as live } from './live'
import { Halted } from './parts/halted'
import { Stale } from './parts/states'
import { Events } from './pages/events'
import { Features } from './pages/features'
import { Films } from './pages/films'
import { Models } from './pages/models'
import { Overview } from './pages/overview'
import { People } from './pages/people'
import { Quality } from './pages/quality'
import { Runs } from './pages/runs'
import { Serving } from './pages/serving'
import { System } from './pages/system'
import { Try } from './pages/try'
import { Workflows } from './pages/workflows'
import { asOf, follow, go, knownAt, page, place, restored, restoredFocus, to } from './router'
import { endSession, Session } from './session'
import { boot, densities, density, language, narrow, theme, themes, zone, zones } from './settings'
import { t } from './text'
import { TimeBar } from './timebar'

const pages = {
	'': { key: 'o', name: () => t.overview, draw: Overview },
	try: { key: 't', name: () => t.try, draw: Try },
	people: { key: 'p', name: () => t.people, draw: People },
	films: { key: 'l', name: () => t.filmsPage, draw: Films },
	features: { key: 'f', name: () => t.features, draw: Features },
	runs: { key: 'r', name: () => t.runs, draw: Runs },
	models: { key: 'm', name: () => t.models, draw: Models },
	workflows: { key: 'w', name: () => t.workflows, draw: Workflows },
	events: { key: 'e', name: () => t.events, draw: Events },
	serving: { key: 's', name: () => t.serving, draw: Serving },
	quality: { key: 'q', name: () => t.quality, draw: Quality },
	system: { key: 'y', name: () => t.system, draw: System },
} as const
type PageId = keyof typeof pages
const ids = Object.keys(pages) as PageId[]
const known = (id: string): id is PageId => Object.hasOwn(pages, id)

// address is where a page begins: held against no moment.
const address = (id: string) => to(id === '' ? [] : [id], { vs_known_at: '', vs_as_of: '' })

function Nav({ close }: { close: () => void }) {
	return (
		<nav class="pages" aria-label={t.pages} onClick={close}>
			{ids.map(id => <a key={id} href={address(id)} data-focus={`nav-${id}`} aria-current={page.value === id ? 'page' : undefined} title={`g ${pages[id].key}`}>{pages[id].name()}</a>)}
		</nav>
	)
}

function Choice<T extends string>({ label, all, of, names }: { label: string; all: readonly T[]; of: { value: T }; names: (v: T) => string }) {
	return <label>{label}<select value={of.value} onChange={e => { of.value = e.currentTarget.value as T }}>{all.map(v => <option key={v} value={v}>{names(v)}</option>)}</select></label>
}

function Settings() {
	return (
		<div id="settings" popover="auto" class="settings">
			<Choice label={t.theme} all={themes} of={theme} names={v => t.themes[v]} />
			<Choice label={t.language} all={['en', 'ko'] as const} of={language} names={v => ({ en: 'English', ko: '한국어' })[v]} />
			<Choice label={t.zone} all={zones} of={zone} names={v => (v === 'local' ? t.local : v)} />
			<Choice label={t.density} all={densities} of={density} names={v => t.densities[v]} />
			<button type="button" onClick={() => { helpOpen.value = true }}>{t.keys} <kbd>?</kbd></button>
			{!boot.open && <button type="button" onClick={() => void endSession()}>{t.endSession}</button>}
			<p class="dim">Projectionist {boot.version}</p>
		</div>
	)
}

// toRow goes to the next row, or the one before: of a list that draws its rows itself, which does the same, or of the tables of a page, whose rows have links.
function toRow(by: number) {
	if (document.querySelector('main [role=grid]')) {
		dispatchEvent(new CustomEvent('console:row', { detail: by }))
		return
	}
	const links = [...document.querySelectorAll('main tbody tr')].map(r => r.querySelector<HTMLElement>('a[href]')).filter(a => a !== null)
	const at = links.findIndex(a => a.closest('tr')?.contains(document.activeElement))
	links[Math.max(0, Math.min(links.length - 1, at + by))]?.focus()
}

function Frame() {
	const [sheet, setSheet] = useState(false)
	const id = known(page.value) ? page.value : null
	const entry = place.value.entry
	const path = place.value.segments.join('/')
	useKeys([
		{ keys: 'Ctrl+K', does: t.find, run: () => { finding.value = true } },
		{ keys: '?', does: t.keys, run: () => { helpOpen.value = true } },
		{ keys: '/', does: t.keyFilter, run: () => document.querySelector<HTMLInputElement>('[data-filter]')?.focus() },
		{ keys: 'Space', does: t.keyPause, run: () => pause(!paused.peek()) },
		{ keys: 'y', does: t.keyCopy, run: () => void navigator.clipboard?.writeText(location.href) },
		{ keys: '.', does: t.keyNew, run: () => document.querySelector<HTMLButtonElement>('[data-key="."]')?.click() },
		{ keys: 'j', does: t.keyRowDown, run: () => toRow(1) },
		{ keys: 'k', does: t.keyRowUp, run: () => toRow(-1) },
		{ keys: 'Escape', does: t.keyUp, run: () => { if (place.peek().segments.length > 0) go(to(place.peek().segments.slice(0, -1))) } },
		...ids.map(p => ({ keys: `g ${pages[p].key}`, does: pages[p].name(), run: () => go(address(p)) })),
	])
	useEffect(() => {
		document.title = `${[...place.value.segments.slice(1).reverse(), id === null ? '' : pages[id].name()].filter(s => s !== '').join(' · ')} · Projectionist`
	})
	// The page that is opened has the focus; one that is come back to, what had it there.
	useEffect(() => {
		const main = document.getElementById('main')
		if (!main) return
		main.scrollTop = restored('main')
		const want = restoredFocus()
		let tries = 0
		const settle = () => {
			if (document.querySelector('dialog[open]')) return
			const e = want === '' ? null : document.querySelector<HTMLElement>(`[data-focus="${CSS.escape(want)}"]`)
			if (e) e.focus({ preventScroll: true })
			else if (document.activeElement === document.body || document.activeElement === null) (main.querySelector<HTMLElement>('h1') ?? (tries > 20 ? main : null))?.focus({ preventScroll: true }) // a page that could not be had may have no title
			if (main.scrollTop < restored('main')) main.scrollTop = restored('main')
			if (!e && tries++ < (want !== '' ? 40 : 200)) waiting = setTimeout(settle, 50) // what comes may take the place of what has the focus
		}
		let waiting = setTimeout(settle, 0)
		return () => clearTimeout(waiting)
	}, [entry, path])

	if (needsSession.value) return <Session />
	const Draw = id === null ? null : pages[id].draw
	return (
		<div class={knownAt.value ? 'frame then' : 'frame'}>
			<a class="skip" href="#main">{t.skip}</a>
			<header class="top">
				{narrow.value && <button type="button" class="quiet" aria-expanded={sheet} aria-controls="nav" aria-label={t.pages} onClick={() => setSheet(!sheet)}>☰</button>}
				<a class="brand" href={address('')}>Projectionist</a>
				<button type="button" class="find" onClick={() => { finding.value = true }}>{t.find}<kbd>Ctrl K</kbd></button>
				<span class="grow" />
				<Stale />
				{!live.value.ready && <a class="bad" href={address('system')} title={live.value.reason}>{t.notReady}</a>}
				{paused.value && <button type="button" class="warn" onClick={() => pause(false)}>‖ {t.paused}</button>}
				<button type="button" class="quiet" popovertarget="settings" aria-label={t.settings}>⚙</button>
				<Settings />
			</header>
			<TimeBar />
			<div class="body">
				{(!narrow.value || sheet) && <div id="nav" class={narrow.value ? 'sheet' : ''}><Nav close={() => setSheet(false)} /></div>}
				<main id="main" data-scroll="main" tabIndex={-1}>
					<Halted />
					{Draw ? <Draw key={place.value.segments.slice(0, 3).join('/')} /> : <div class="empty"><h1 tabIndex={-1}>{t.noPage}</h1><p><code>/{place.value.segments.join('/')}</code></p><p><a href={address('')}>{t.overview}</a></p></div>}
				</main>
			</div>
			<footer class="paper">{location.href}{knownAt.value ? ` · ${t.asKnown} ${knownAt.value}` : ''}{asOf.value ? ` · as_of ${asOf.value}` : ''} · {live.value.cut}</footer>
			<div class="announce" role="status" aria-live="polite">{announced.value}</div>
			<Help />
			<Find pages={ids.map(p => [p, pages[p].name()])} />
		</div>
	)
}

addEventListener('click', follow)
listen()
beginLive()
const root = document.getElementById('app')
if (root) {
	root.replaceChildren()
	render(<Frame />, root)
}
