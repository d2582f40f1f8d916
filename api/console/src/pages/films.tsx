// What is known of a film, who met it, and which are like it?
import { useEffect, useState } from 'preact/hooks'
import { command, Problem, segment, then, url, useGet } from '../api'
import { figure } from '../format'
import { announce, Dialog } from '../keys'
import { Cut, Fact, Facts, Position, Stream, Tabs, Time, Title } from '../parts/bits'
import { GoesOn } from '../parts/goeson'
import { AsOf, History, noRating, type Of, Rate, Times } from '../parts/history'
import { Moments, only, rowsMost } from '../parts/moments'
import { usePaged } from '../parts/paged'
import { Empty, Fault, News, Shown, Skeleton } from '../parts/states'
import { type Column, Table } from '../parts/table'
import { knownAt, place, set, to } from '../router'
import { t } from '../text'
import type { Film, Recommended } from '../types'

export function Films() {
	const id = place.value.segments[1]
	return id === undefined ? <List /> : <FilmPage id={id} />
}

const columnsOf = (): Column<Film>[] => [
	{ id: 'title', head: t.film, width: 'minmax(180px, 3fr)', cell: m => <a href={to(['films', m.movie_id])} tabIndex={-1}>{m.title || m.movie_id}</a>, line: 1 },
	{ id: 'year', head: t.year, width: '56px', num: true, cell: m => m.year ?? '', line: 1 },
	{ id: 'genres', head: t.genres, width: 'minmax(120px, 2fr)', cell: m => m.genres?.join(', ') ?? '', line: 2 },
	{ id: 'id', head: 'ID', width: 'minmax(80px, 120px)', cell: m => <span class="mono">{m.movie_id}</span>, line: 2 },
	{ id: 'hidden', head: t.onLists, width: '108px', cell: m => (m.hidden ? <span class="warn">▽ {t.hiddenFilm}</span> : '') },
	{ id: 'changed', head: t.changed, width: '150px', cell: m => <Time at={m.recorded_millis} /> },
	{ id: 'position', head: t.event, width: 'minmax(160px, 190px)', cell: m => <Position at={`mlops-events/0@${m.offset}`} /> },
]

function List() {
	const params = place.value.params
	const [q, genre, hidden] = [params.get('q') ?? '', params.get('genre') ?? '', params.get('hidden') === 'true']
	const searches = /[\p{L}\p{N}]/u.test(q) // a search wants a letter or a digit
	const wanted = hidden ? { hidden } : { q: searches ? q : '', genre: searches ? '' : genre }
	const path = then('/api/v1/movies', { ...wanted, limit: 200 })
	const list = usePaged<Film>(path, { views: ['movies'], hold: true })
	return (
		<div class="full">
			<Title side={<News n={list.news} show={list.again} />}>{t.filmsPage}</Title>
			<form class="filters" role="search" onSubmit={e => e.preventDefault()}>
				<label class="wide">{t.titleWords}<input data-filter="" data-focus="filter" value={q} onInput={e => set({ q: e.currentTarget.value, genre: '', hidden: '' }, true)} /></label>
				<label>{t.genre}<input data-focus="genre" value={genre} placeholder="Drama" onChange={e => set({ genre: e.currentTarget.value.trim(), q: '', hidden: '' })} /></label>
				<label class="check"><input type="checkbox" data-focus="hidden" checked={hidden} onChange={e => set({ hidden: e.currentTarget.checked ? 'true' : '', q: '', genre: '' })} /> {t.onlyHidden}</label>
			</form>
			<Moments of={[{ path: url('/api/v1/movies', { ...wanted, limit: rowsMost }), views: ['movies'], id: m => m.movie_id, page: m => to(['films', m.movie_id]), shows: only('title', 'year', 'genres', 'hidden') }]} prefix="movie/" />
			{list.problem && <Fault problem={list.problem} again={list.again} />}
			{list.rows === null ? list.problem ? null : <Skeleton rows={14} /> : list.rows.length === 0
				? <Empty why={searches || genre !== '' || hidden ? t.nothingFound : t.noFilms} {...(searches || genre !== '' || hidden ? {} : { command: 'projectionist import PATH' })} />
				: <Table id="films" of={path} label={t.filmsPage} rows={list.rows} columns={columnsOf()} keyOf={m => m.movie_id} href={m => to(['films', m.movie_id])} total={list.next === '' ? list.rows.length : -1} more={list.empty ? undefined : list.more} />}
			{list.rows && <p class="dim foot">{t.shown(list.rows.length)} · {t.byTitle}{list.next !== '' && <button type="button" class="quiet" onClick={() => list.more?.()}>{t.more}</button>}</p>}
		</div>
	)
}

function FilmPage({ id }: { id: string }) {
	const api = `/api/v1/movies/${segment(id)}`
	const got = useGet<Film>(then(api), { views: ['movies'], id })
	const [hiding, setHiding] = useState(false)
	const tab = place.value.params.get('tab') ?? ''
	const of: Of = { path: api, views: ['movies'], id, person: false }
	const off = noRating()
	const tabs: [string, string][] = [['', t.history], ['similar', t.similar]]
	const film = got.data
	return (
		<>
		<Title of={<a href={to(['films'])}>{t.filmsPage}</a>} side={<><form class="filters" onSubmit={e => e.preventDefault()}><AsOf /></form>{film && <button type="button" data-focus="hide" disabled={off !== ''} title={off} onClick={() => setHiding(true)}>{film.hidden ? t.unhide : t.hide}</button>}</>}>
			<bdi>{film?.title || id}</bdi> {film?.year ? <span class="dim">{film.year}</span> : null}
		</Title>
		<Shown got={got}>{m => (
			<>
				<Moments of={[{ path: api, views: ['movies'] }]} stream={`movie/${m.movie_id}`} />
				{m.hidden && <p class="warn">▽ {t.hiddenBecause(m.hidden.reason)} <Time at={m.hidden.event_millis} /> <span class="dim">{m.hidden.actor}</span></p>}
				<Facts>
					<Fact name="ID"><span class="mono">{m.movie_id}</span></Fact>
					{m.genres && m.genres.length > 0 && <Fact name={t.genres}>{m.genres.map((g, n) => <>{n > 0 && ', '}<a key={g} href={to(['films'], { genre: g })}>{g}</a></>)}</Fact>}
					{m.language && <Fact name={t.language}>{m.language}</Fact>}{m.runtime_minutes ? <Fact name={t.duration}>{m.runtime_minutes} m</Fact> : null}{m.release_date && <Fact name={t.released}>{m.release_date}</Fact>}
					{m.imdb_id && <Fact name="IMDb"><span class="mono">{m.imdb_id}</span></Fact>}{m.tmdb_id && <Fact name="TMDB"><span class="mono">{m.tmdb_id}</span></Fact>}
					{m.vote_count ? <Fact name={t.votes}>{figure(m.vote_average)} <span class="dim">× {m.vote_count}</span></Fact> : null}
					{m.datasets && m.datasets.length > 0 && <Fact name={t.dataset}>{m.simulated ? <b class="warn">{t.simulated}</b> : m.datasets.join(', ')}</Fact>}
					<Fact name={t.registered}><Time at={m.created_millis} /></Fact><Fact name={t.changed}><Time at={m.recorded_millis} /> <Position at={`mlops-events/0@${m.offset}`} /></Fact><Fact name={t.stream}><Stream name={`movie/${m.movie_id}`} /></Fact>
					<Fact name={t.whatWasShown}><a href={to(['events', 'movie-recommendations'], { q: `"movie_id":"${m.movie_id}"` })}>movie-recommendations</a></Fact>
				</Facts>
				{m.overview && <p class="overview">{m.overview}</p>}
				{m.keywords && m.keywords.length > 0 && <p class="dim">{m.keywords.join(', ')}</p>}
				<Times of={of} />
				<Rate movie={m.movie_id} done={got.again} />
				<Tabs all={tabs} now={tab} href={x => to(['films', id], { tab: x })} />
				{tab === 'similar' ? <Similar id={m.movie_id} /> : <History of={of} />}
				{hiding && <Hide film={m} close={() => setHiding(false)} done={() => { setHiding(false); got.again() }} />}
			</>
		)}</Shown>
		</>
	)
}

// Similar is the films nearest to one, and what says so.
function Similar({ id }: { id: string }) {
	const got = useGet<{ items: Recommended[] }>(then(`/api/v1/movies/${segment(id)}/similar`, { k: 20 }), { views: ['deployments'] })
	// Of a moment whose views are not folded yet the server goes on with them, for whoever comes back; of views that had halted it does not.
	const folding = knownAt.value !== '' && got.problem?.status === 503 && got.problem.hint.startsWith('ask again')
	useEffect(() => {
		if (!folding || got.loading) return
		const timer = setTimeout(got.again, 2000)
		return () => clearTimeout(timer)
	}, [folding, got.loading])
	const asked = { movie_id: id, k: 20, known_at: knownAt.value }
	return (
		<>
		{knownAt.value !== '' && (got.loading || folding) && <GoesOn key={JSON.stringify(asked)} path="/api/v1/ops/similar" body={asked} detail={folding ? got.problem?.detail : undefined} />}
		{!folding && <Shown got={got} rows={8}>{s => s.items.length === 0 ? <Empty why={t.noOther} /> : (
			<div class="scroll-x" tabIndex={0} role="group" aria-label={t.similar}>
				<table><thead><tr><th class="num">#</th><th>{t.film}</th><th>{t.genres}</th><th>{t.by}</th><th class="num">{t.value}</th></tr></thead>
					<tbody>{s.items.map((i, n) => <tr key={i.movie_id}><td class="num">{n + 1}</td><td><Cut href={to(['films', i.movie_id], { tab: 'similar' })} text={i.title || i.movie_id} /> {i.year ? <span class="dim">{i.year}</span> : null}</td><td><Cut tone="dim" text={i.genres?.join(', ')} /></td><td>{Object.keys(i.sources ?? {}).map(x => <span key={x} class="pair">{x}</span>)}</td><td class="num" title={String(i.score)}>{figure(i.score)}</td></tr>)}</tbody>
				</table>
			</div>
		)}</Shown>}
		</>
	)
}

// Hide keeps a film off every list, or lets it on again, as it was looked at: if somebody has changed it meanwhile, nothing is done.
function Hide({ film, close, done }: { film: Film; close: () => void; done: () => void }) {
	const [reason, setReason] = useState('')
	const [busy, setBusy] = useState(false)
	const [problem, setProblem] = useState<Problem | null>(null)
	const [key] = useState(() => crypto.randomUUID?.() ?? String(Math.random()))
	const [was] = useState(film)
	const does = was.hidden ? t.unhide : t.hide
	const act = async (e: Event) => {
		e.preventDefault()
		if (busy) return
		setBusy(true)
		setProblem(null)
		try {
			await command(was.hidden ? 'DELETE' : 'PUT', `/api/v1/movies/${segment(was.movie_id)}/hidden`, { reason }, { key, revision: was.revision })
			announce(`${does}: ${was.title}`)
			done()
		} catch (p) {
			setProblem(p instanceof Problem ? p : new Problem({ title: String(p) }))
			setBusy(false)
		}
	}
	return (
		<Dialog open close={close} title={`${does}: ${was.title || was.movie_id}`}>
			<form onSubmit={e => void act(e)}>
				<p>{was.hidden ? t.unhideWhat : t.hideWhat}</p>
				<label>{t.reason}<input value={reason} required={!was.hidden} onInput={e => setReason(e.currentTarget.value)} autofocus /></label>
				{problem && <Fault problem={problem} />}
				<p class="buttons"><button type="submit" class="main" disabled={busy}>{does}</button> <button type="button" onClick={close}>{t.cancel}</button></p>
			</form>
		</Dialog>
	)
}
