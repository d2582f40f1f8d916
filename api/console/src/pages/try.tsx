// Who gets what, and why? A look adds no event.
import { useEffect, useState } from 'preact/hooks'
import { command, Problem, url, useGet } from '../api'
import { figure } from '../format'
import { announce } from '../keys'
import { Fact, Facts, Time, Title } from '../parts/bits'
import { Empty, Fault, Shown } from '../parts/states'
import { asOf, knownAt, place, set, to } from '../router'
import { t } from '../text'
import { noCommands } from '../timebar'
import type { Operation, Recommendations, Recommended } from '../types'

export function Try() {
	const params = place.value.params
	const user = params.get('user') ?? ''
	const k = params.get('k') ?? '10'
	const vs = params.get('vs') ?? ''
	const list = (known: string) => url('/api/v1/recommendations', { user_id: user, k, explain: true, record: known || asOf.value ? '' : 'false', known_at: known, as_of: asOf.value })
	const asked = { user_id: user, k: Number(k), known_at: knownAt.value, as_of: asOf.value }
	const got = useGet<Recommendations>(user === '' ? null : list(knownAt.value), { views: ['deployments'] })
	const other = useGet<Recommendations>(user === '' || vs === '' ? null : vs === 'baseline' ? url('/', { k }) : list(vs), {})
	return (
		<>
			<Title>{t.try}</Title>
			<form class="filters" onSubmit={e => e.preventDefault()}>
				<label>{t.person}<input data-filter="" data-focus="person" value={user} placeholder="1" onInput={e => set({ user: e.currentTarget.value.trim() }, true)} /></label>
				<label>k<input type="number" min={1} max={200} value={k} onChange={e => set({ k: e.currentTarget.value === '10' ? '' : e.currentTarget.value })} /></label>
				<label>{t.happened}<input class="mono" value={asOf.value} placeholder="as_of 2024-01-01" onChange={e => set({ as_of: e.currentTarget.value.trim() })} /></label>
				<label>{t.against}<input class="mono" value={vs} list="against" placeholder={t.againstWhat} onChange={e => set({ vs: e.currentTarget.value.trim() })} /><datalist id="against"><option value="baseline" /></datalist></label>
			</form>
			{user !== '' && (knownAt.value !== '' || asOf.value !== '') && got.loading && <GoesOn key={JSON.stringify(asked)} body={asked} />}
			{user === '' ? <Empty why={t.whoFirst} /> : (
				<div class={vs ? 'columns-2' : ''}>
					<Shown got={got} rows={10}>{r => <List r={r} before={other.data?.items} again={got.again} />}</Shown>
					{vs && <Shown got={other} rows={10}>{r => <List r={r} before={undefined} again={other.again} plain />}</Shown>}
				</div>
			)}
		</>
	)
}

// GoesOn offers, where the views of a moment take long, to have them folded whether this page is there or not.
function GoesOn({ body }: { body: Record<string, string | number> }) {
	const [slow, setSlow] = useState(false)
	const [problem, setProblem] = useState<Problem | null>(null)
	const [begun, setBegun] = useState<Operation | null>(null)
	const [key] = useState(() => crypto.randomUUID?.() ?? String(Math.random()))
	useEffect(() => {
		const timer = setTimeout(() => setSlow(true), 1500)
		return () => clearTimeout(timer)
	}, [])
	const act = async () => {
		setProblem(null)
		try {
			setBegun(await command<Operation>('POST', '/api/v1/ops/recommendations', body, { key, goesOn: true }))
		} catch (e) {
			setProblem(e instanceof Problem ? e : new Problem({ title: String(e) }))
		}
	}
	if (!slow) return null
	return (
		<div class="card" role="status">{t.slowThen} {begun ? <a href={to(['system', 'operations', begun.operation_id])}>{t.operation}: {t.operationBegun}</a> : <button type="button" onClick={() => void act()}>{t.goOnWithout}</button>}{problem && <Fault problem={problem} />}</div>
	)
}

function List({ r, before, again, plain }: { r: Recommendations; before: Recommended[] | undefined; again: () => void; plain?: boolean }) {
	const most = Math.max(...r.items.map(i => i.score), 1e-9)
	return (
		<section>
			<Facts>{!plain && <Fact name={t.person}><a class="mono" href={to(['people', r.user_id])}>{r.user_id}</a></Fact>}<Fact name={t.strategy}>{r.strategy}</Fact>{r.model_name && <Fact name={t.model}><a href={to(['models', r.model_name, r.model_version ?? ''])}>{r.model_name} {r.model_version}</a></Fact>}{r.now_millis && <Fact name={t.moment}><Time at={r.now_millis} /></Fact>}{r.simulated && <Fact name={t.data}><b class="warn">{t.simulated}</b></Fact>}</Facts>
			{r.items.length === 0 && <Empty why={t.nothingToShow} />}
			<ol class="films">{r.items.map((i, n) => <Film key={i.movie_id} i={i} n={n} user={r.user_id} move={moved(i, n, before)} most={most} again={again} plain={plain ?? false} />)}</ol>
		</section>
	)
}

function moved(i: Recommended, n: number, before: Recommended[] | undefined): string {
	if (!before) return ''
	const was = before.findIndex(b => b.movie_id === i.movie_id)
	return was < 0 ? t.isNew : was === n ? '=' : was > n ? `▲ ${was - n}` : `▼ ${n - was}`
}

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
			<div><a href={to(['films', i.movie_id])}><b class="wrap">{i.title || i.movie_id}</b></a> {i.year ? <span class="dim">{i.year}</span> : null} <span class="dim">{i.genres?.join(', ')}</span> {move && <b class="move">{move}</b>}
				<div class="meter" aria-hidden="true"><i style={{ width: `${Math.max(0, Math.min(100, (i.score / most) * 100))}%` }} /></div>
				{parts.length > 0 && <details><summary>{t.why} <span class="dim">{parts.length} {t.parts}, Σ {figure(sum)}</span></summary><table class="pairs"><tbody>{parts.map((b, x) => <tr key={x}><th scope="row">{b.title ?? b.movie_id ?? b.source}</th><td class="dim">{b.source}</td><td class="num" title={String(b.score)}>{b.score > 0 ? '+' : ''}{figure(b.score)}</td></tr>)}<tr><th scope="row">{t.sum}</th><td /><td class="num" title={String(sum)}>{figure(sum)}</td></tr></tbody></table></details>}
			</div>
			<span class="num" title={String(i.score)}>{figure(i.score)}</span>
			{!plain && <span class="buttons"><button type="button" class="quiet" disabled={busy || off !== ''} title={off || t.like} aria-label={`${t.like}: ${i.title}`} onClick={() => void rate('like')}>＋</button><button type="button" class="quiet" disabled={busy || off !== ''} title={off || t.dislike} aria-label={`${t.dislike}: ${i.title}`} onClick={() => void rate('dislike')}>－</button></span>}
		</li>
	)
}
