// Who gets what, and why? A look adds no event.
import { useState } from 'preact/hooks'
import { command, Problem, then, url, useGet } from '../api'
import { figure } from '../format'
import { announce } from '../keys'
import { Cut, Fact, Facts, Parted, Time, Title } from '../parts/bits'
import { GoesOn } from '../parts/goeson'
import { type Answer, Moments, only } from '../parts/moments'
import { Empty, Shown } from '../parts/states'
import { asOf, knownAt, type Params, place, set, to } from '../router'
import { t } from '../text'
import { noCommands } from '../timebar'
import type { Model, Page, Recommendations, Recommended } from '../types'

const versionsMost = 200 // that are offered to be put beside

export function Try() {
	const params = place.value.params
	const user = params.get('user') ?? ''
	const k = params.get('k') ?? '10'
	const vs = params.get('vs') ?? ''
	const list = (by: Params) => url('/api/v1/recommendations', { user_id: user, k, explain: true, record: 'false', known_at: knownAt.value, as_of: asOf.value, ...by })
	const version = /^model:(.+?)(?:@(\d+))?$/.exec(vs)
	const asked = { user_id: user, k: Number(k), known_at: knownAt.value, as_of: asOf.value }
	const got = useGet<Recommendations>(user === '' ? null : list({}), { views: ['deployments'] })
	const other = useGet<Recommendations>(user === '' || vs === '' ? null : vs === 'baseline' ? url('/', { k }) : list(version ? { model: version[1], version: version[2] } : { known_at: vs }), {})
	const models = useGet<Page<Model>>(user === '' ? null : then('/api/v1/models', { limit: 100 }), { views: ['models'] })
	const versions = (models.data?.items ?? []).flatMap(m => (m.deleted ? [] : m.versions.filter(v => v.blob).map(v => `model:${m.name}@${v.version}`))).slice(-versionsMost).reverse()
	return (
		<>
			<Title>{t.try}</Title>
			<form class="filters" onSubmit={e => e.preventDefault()}>
				<label>{t.person}<input data-filter="" data-focus="person" value={user} placeholder="1" onInput={e => set({ user: e.currentTarget.value.trim() }, true)} /></label>
				<label>k<input type="number" min={1} max={200} value={k} onChange={e => set({ k: e.currentTarget.value === '10' ? '' : e.currentTarget.value })} /></label>
				<label>{t.happened}<input class="mono" value={asOf.value} placeholder="as_of 2024-01-01" onChange={e => set({ as_of: e.currentTarget.value.trim() })} /></label>
				<label class="broad">{t.against}<input class="mono" value={vs} list="against" placeholder={t.againstWhat} onChange={e => set({ vs: e.currentTarget.value.trim() })} /><datalist id="against"><option value="baseline" />{versions.map(v => <option key={v} value={v} />)}</datalist></label>
			</form>
			<Moments of={user === '' ? [] : [{ path: url('/api/v1/recommendations', { user_id: user, k, record: 'false' }), dated: true, views: ['deployments', 'users'], items: a => ((a.items ?? []) as Answer[]).map((i, n) => ({ ...i, rank: n + 1 })), id: i => i.movie_id, page: i => to(['films', i.movie_id]), shows: only('rank', 'title', 'score') }]} prefix="model/" />
			{user !== '' && (knownAt.value !== '' || asOf.value !== '') && got.loading && <GoesOn key={JSON.stringify(asked)} path="/api/v1/ops/recommendations" body={asked} />}
			{user === '' ? <Empty why={t.whoFirst} /> : (
				<div class={vs ? 'columns-2' : ''}>
					<Shown got={got} rows={10}>{r => <List r={r} was={other.data?.items} is={r.items} again={got.again} />}</Shown>
					{vs && <div>{vs === 'baseline' && (knownAt.value || asOf.value) && <p class="warn">{t.baselineIsNow}</p>}<Shown got={other} rows={10}>{r => <List r={r} was={r.items} is={got.data?.items} again={other.again} plain />}</Shown></div>}
				</div>
			)}
		</>
	)
}

// List is a list of two that are beside each other, with how each film came from its place in the one that was to that in the one that is.
function List({ r, was, is, again, plain }: { r: Recommendations; was: Recommended[] | undefined; is: Recommended[] | undefined; again: () => void; plain?: boolean }) {
	const gone = plain || !was ? [] : was.map((i, n) => ({ i, n })).filter(({ i }) => placeOf(i, r.items) < 0)
	const most = Math.max(...r.items.map(i => i.score), 1e-9)
	return (
		<section>
			<Facts>{!plain && <Fact name={t.person}><a class="mono" href={to(['people', r.user_id])}>{r.user_id}</a></Fact>}<Fact name={t.strategy}>{r.strategy}</Fact>{r.model_name && <Fact name={t.model}><a href={to(['models', r.model_name, r.model_version ?? ''])}>{r.model_name} {r.model_version}</a></Fact>}{r.now_millis && <Fact name={t.moment}><Time at={r.now_millis} /></Fact>}{r.simulated && <Fact name={t.data}><b class="warn">{t.simulated}</b></Fact>}</Facts>
			{r.items.length === 0 && <Empty why={t.nothingToShow} />}
			<ol class="films">{r.items.map((i, n) => <Film key={i.movie_id} i={i} n={n} user={r.user_id} move={was && is ? moved(plain ? n : placeOf(i, was), plain ? placeOf(i, is) : n) : ''} most={most} again={again} plain={plain ?? false} />)}</ol>
			{gone.length > 0 && <><h3>{t.gone}</h3><ul class="plain-list" data-gone="">{gone.map(({ i, n }) => <li key={i.movie_id} class="dim">{n + 1} <a href={to(['films', i.movie_id])}>{i.title || i.movie_id}</a> {i.year ?? ''}</li>)}</ul></>}
		</section>
	)
}

const placeOf = (i: Recommended, list: Recommended[]): number => list.findIndex(x => x.movie_id === i.movie_id)

// moved says how a film came from a place, from 0, to another; it is on no list at a place below 0.
const moved = (was: number, is: number): string => (was < 0 ? t.isNew : is < 0 ? t.gone : was === is ? '=' : was > is ? `▲ ${was - is}` : `▼ ${is - was}`)

function Film({ i, n, user, move, most, again, plain }: { i: Recommended; n: number; user: string; move: string; most: number; again: () => void; plain: boolean }) {
	const [busy, setBusy] = useState(false)
	const off = noCommands() || (asOf.value ? t.noCommandsThen : '')
	const rate = async (kind: string) => {
		setBusy(true)
		try {
			await command('POST', '/api/v1/feedback', { user_id: user, movie_id: i.movie_id, interaction_type: kind })
			announce(`${t.rated}: ${i.title}`)
			again()
		} catch (e) {
			announce(e instanceof Problem ? e.detail : String(e))
		}
		setBusy(false)
	}
	const parts = i.because ?? []
	const sum = parts.reduce((a, b) => a + b.score, 0)
	return (
		<li>
			<span class="num dim">{n + 1}</span>
			<div><Cut tone="strong" href={to(['films', i.movie_id])} text={i.title || i.movie_id} /> {i.year ? <span class="dim">{i.year}</span> : null} <span class="dim">{i.genres?.join(', ')}</span> {move && <b class="move">{move}</b>}
				<div class="meter" aria-hidden="true"><i style={{ width: `${Math.max(0, Math.min(100, (i.score / most) * 100))}%` }} /></div>
				{parts.length > 0 && <details><summary>{t.why} <span class="dim">{parts.length} {t.parts}, Σ {figure(sum)}</span></summary><table class="pairs"><tbody>{parts.map((b, x) => <tr key={x}><th scope="row">{b.movie_id ? <a href={to(['films', b.movie_id])}>{b.title || b.movie_id}</a> : <Parted text={b.source} />}</th><td class="dim named"><Parted text={b.source} /></td><td class="num" title={String(b.score)}>{b.score > 0 ? '+' : ''}{figure(b.score)}</td></tr>)}<tr><th scope="row">{t.sum}</th><td /><td class="num" title={String(sum)}>{figure(sum)}</td></tr></tbody></table></details>}
			</div>
			<span class="num" title={String(i.score)}>{figure(i.score)}</span>
			{!plain && <span class="buttons"><button type="button" class="quiet" disabled={busy || off !== ''} title={off || t.like} aria-label={`${t.like}: ${i.title}`} onClick={() => void rate('like')}>＋</button><button type="button" class="quiet" disabled={busy || off !== ''} title={off || t.dislike} aria-label={`${t.dislike}: ${i.title}`} onClick={() => void rate('dislike')}>－</button></span>}
		</li>
	)
}
