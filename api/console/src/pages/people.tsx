// Who is there, what did they do, and when did we know?
import { segment, url, useGet } from '../api'
import { count, figure } from '../format'
import { Fact, Facts, Id, Position, Tabs, Time, Title } from '../parts/bits'
import { AsOf, happened, History, type Of, Rate, Times } from '../parts/history'
import { type Answer, Moments, rowsMost } from '../parts/moments'
import { usePaged } from '../parts/paged'
import { Empty, Fault, News, Shown, Skeleton } from '../parts/states'
import { type Column, Table } from '../parts/table'
import { asOf, place, set, to } from '../router'
import { t } from '../text'
import type { Given, Page, Person, User } from '../types'

export function People() {
	const id = place.value.segments[1]
	return id === undefined ? <List /> : <PersonPage id={id} />
}

const columnsOf = (): Column<Person>[] => [
	{ id: 'person', head: t.person, width: 'minmax(110px, 1fr)', cell: p => <a class="mono" href={to(['people', p.user_id])} tabIndex={-1}>{p.user_id}</a>, line: 1 },
	{ id: 'acts', head: t.acts, width: '88px', num: true, cell: p => `${p.acts_more ? '≥ ' : ''}${count(p.acts)}`, line: 1 },
	{ id: 'first', head: t.firstAct, width: '150px', cell: p => <Time at={p.first?.event_millis} /> },
	{ id: 'last', head: t.lastAct, width: '150px', cell: p => <Time at={p.last?.event_millis} />, line: 2 },
	{ id: 'position', head: t.position, width: 'minmax(120px, 1fr)', cell: p => (p.last ? <Position at={p.last.position} /> : '') },
	{ id: 'said', head: t.saidOf, width: 'minmax(120px, 2fr)', cell: p => saidOf(p), line: 2 },
]

// personShows is what counts of a person as moments are compared.
const personShows = ({ user_id: _, first, last, ...p }: Answer): Answer => ({ ...p, ...(first ? { first: first.position } : {}), ...(last ? { last: last.position } : {}) })

const saidOf = (p: User) => [p.age ? `${t.age} ${p.age}` : '', p.gender, p.occupation, p.zip].filter(s => s).join(', ')

function List() {
	const q = place.value.params.get('q') ?? ''
	const path = happened('/api/v1/users', { q, limit: 100 })
	const list = usePaged<Person>(path, { views: ['users'], hold: true })
	return (
		<div class="full">
			<Title side={<News n={list.news} show={list.again} />}>{t.people}</Title>
			<form class="filters" role="search" onSubmit={e => e.preventDefault()}>
				<label class="wide">{t.idBegins}<input data-filter="" data-focus="filter" class="mono" value={q} placeholder="42" onInput={e => set({ q: e.currentTarget.value.trim() }, true)} /></label>
				<AsOf />
			</form>
			<Moments of={[{ path: url('/api/v1/users', { q, limit: rowsMost }), dated: true, views: ['users'], id: p => p.user_id, page: p => to(['people', p.user_id]), shows: personShows }]} prefix="user/" />
			{list.problem && <Fault problem={list.problem} again={list.again} />}
			{list.rows === null ? list.problem ? null : <Skeleton rows={14} /> : list.rows.length === 0
				? <Empty why={q !== '' || asOf.value ? t.nothingFound : t.nobody} {...(q === '' && !asOf.value ? { command: 'projectionist import PATH' } : {})} />
				: <Table id="people" of={path} label={t.people} rows={list.rows} columns={columnsOf()} keyOf={p => p.user_id} href={p => to(['people', p.user_id])} total={list.next === '' ? list.rows.length : -1} more={list.empty ? undefined : list.more} />}
			{list.rows && <p class="dim foot">{t.shown(list.rows.length)}{list.next !== '' && <button type="button" class="quiet" onClick={() => list.more?.()}>{t.more}</button>}</p>}
		</div>
	)
}

function PersonPage({ id }: { id: string }) {
	const got = useGet<Page<Person>>(happened('/api/v1/users', { user_id: id }), { views: ['users'], id })
	const tab = place.value.params.get('tab') ?? ''
	const of: Of = { path: `/api/v1/users/${segment(id)}`, views: ['users'], id, person: true }
	const tabs: [string, string][] = [['', t.history], ['shown', t.whatWasShown], ['said', t.saidOf]]
	return (
		<>
			<Title of={<a href={to(['people'])}>{t.people}</a>} side={<><form class="filters" onSubmit={e => e.preventDefault()}><AsOf /></form><a class="button" href={to(['try'], { user: id })}>{t.try}</a></>}>{id}</Title>
			<Moments of={[{ path: `/api/v1/users?user_id=${segment(id)}`, dated: true, views: ['users'], id: p => p.user_id, shows: personShows }]} stream={`user/${id}`} />
			<Shown got={got} rows={2}>{p => {
				const one = p.items[0]
				if (!one) return <Empty why={t.nothingOfThem} />
				return (
					<Facts>
						{one.first && <Fact name={t.firstAct}><Time at={one.first.event_millis} /> <Position at={one.first.position} /></Fact>}
						{one.last && <Fact name={t.lastAct}><Time at={one.last.event_millis} /> <Position at={one.last.position} /></Fact>}
						{saidOf(one) !== '' && <Fact name={t.saidOf}>{saidOf(one)} <a href={to(['events', 'streams', 'user', one.user_id])}>{t.events}</a></Fact>}
					</Facts>
				)
			}}</Shown>
			<Times of={of} />
			<Rate user={id} done={got.again} />
			<Tabs all={tabs} now={tab} href={x => to(['people', id], { tab: x })} />
			{tab === 'shown' ? <WasShown id={id} /> : tab === 'said' ? <Said id={id} known={got.data?.items[0]} /> : <History of={of} />}
		</>
	)
}

// WasShown is what they were shown, by what, and why.
function WasShown({ id }: { id: string }) {
	const list = usePaged<Given>(happened(`/api/v1/users/${segment(id)}/recommendations`, { limit: 50 }), { views: ['recommendations'], id, hold: true })
	return (
		<section><News n={list.news} show={list.again} />
			{list.problem && <Fault problem={list.problem} again={list.again} />}
			{list.rows === null ? list.problem ? null : <Skeleton rows={6} /> : list.rows.length === 0 ? <Empty why={t.shownNothing} /> : (
				<ol class="stream">{list.rows.map(g => (
					<li key={g.position}><details><summary><Time at={g.event_millis} /> <b>{g.strategy}</b> {g.model_name && `${g.model_name} ${g.model_version ?? ''}`} <span class="dim">{t.filmsOf(g.items.length)}</span></summary>
						<p><Position at={g.position} /> {g.model_name && <a href={to(['models', g.model_name, g.model_version ?? ''])}>{g.model_name} {g.model_version}</a>} <span class="dim">{t.request}</span> <Id id={g.request_id} /></p>
						<table class="pairs"><tbody>{g.items.map(i => <tr key={i.movie_id}><td class="num">{i.position}</td><th scope="row"><a href={to(['films', i.movie_id])}>{i.title || i.movie_id}</a> {i.year ? <span class="dim">{i.year}</span> : null}</th><td class="num" title={String(i.score)}>{figure(i.score)}</td><td class="dim">{i.source}</td><td class="wrap">{i.because?.map((b, n) => <>{n > 0 && ', '}<a key={b.movie_id} href={to(['films', b.movie_id])}>{b.title || b.movie_id}</a></>)}</td></tr>)}</tbody></table></details></li>
				))}</ol>
			)}
			{list.next !== '' && <p><button type="button" onClick={() => list.more?.()}>{t.more}</button></p>}
		</section>
	)
}

// Said is what sources say of them, the last that is so first. Of whom nothing was said there is no such document.
function Said({ id, known }: { id: string; known: Person | undefined }) {
	const got = useGet<{ said: (User & { dataset?: string; since?: string; position: string; recorded_millis: number; actor?: string })[] }>(known && saidOf(known) !== '' ? happened(`/api/v1/users/${segment(id)}`) : null, { views: ['users'], id })
	if (!known || saidOf(known) === '') return <Empty why={t.saidNothing} command={`curl -X POST ${location.origin}/api/v1/users -H 'Content-Type: application/json' -d '{"user_id":"${id.replaceAll(/["'\\]/g, '')}","age":34}'`} />
	return (
		<Shown got={got} rows={3}>{u => (
			<ol class="entries">{u.said.map(s => <li key={s.position}><Time at={s.recorded_millis} /><Position at={s.position} /><span class="what">{saidOf(s)}</span><span class="dim from">{s.since ? `${t.since} ${s.since}` : s.dataset} {s.actor}</span></li>)}</ol>
		)}</Shown>
	)
}
