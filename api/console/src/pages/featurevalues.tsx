// Features of one entity: the row that a join has of a moment, with the event that made each value, and what came too late for it; each over time.
import { useMemo, useState } from 'preact/hooks'
import { ask, Problem, segment, then, url, useGet } from '../api'
import { Chart, type Curve } from '../chart'
import { figure, time } from '../format'
import { Cut, Fact, Facts, Position, Time } from '../parts/bits'
import { Moments, only } from '../parts/moments'
import { Empty, Fault, News, Shown, Skeleton } from '../parts/states'
import { asOf, knownAt, place, set, to } from '../router'
import { t } from '../text'
import type { Cause, Changed, FeatureRow, FeatureSeries, FeatureView, Late, Page, Sourced } from '../types'

const curvesMost = 6

// keysOf are the join keys that an entity of a view is known by.
const keysOf = (v: FeatureView): string[] => (v.entity ? [`${v.entity}_id`] : (v.join_keys ?? []).map(k => k.name))

export function Values({ view, kind }: { view: FeatureView; kind: string }) {
	const params = place.value.params
	const keys = keysOf(view)
	const of = Object.fromEntries(keys.map(k => [k, params.get(`key.${k}`) ?? '']))
	const whole = keys.every(k => of[k] !== '')
	return (
		<>
			<form class="filters" onSubmit={e => e.preventDefault()}>
				{keys.map((k, i) => <label key={k}>{k}<input data-filter={i === 0 ? '' : undefined} data-focus={`key-${k}`} value={of[k] ?? ''} placeholder="1" onInput={e => set({ [`key.${k}`]: e.currentTarget.value.trim() }, true)} /></label>)}
				<label>{t.happened}<input class="mono" value={asOf.value} placeholder="as_of 2024-01-01" onChange={e => set({ as_of: e.currentTarget.value.trim() })} /></label>
			</form>
			{whole ? <Entity key={Object.values(of).join('\n')} view={view} kind={kind} of={of} /> : <Empty why={t.whoseFeatures} />}
		</>
	)
}

interface Live { views: string[]; id?: string; hold: boolean }

function Entity({ view, kind, of }: { view: FeatureView; kind: string; of: Record<string, string> }) {
	const path = `/api/v1/features/views/${segment(view.name)}`
	const [id, setId] = useState('')
	const [round, setRound] = useState(0)
	const changing = kind === 'pushed' ? 'feature_values' : view.entity === 'movie' ? 'movies' : 'users'
	const live: Live = { views: [changing], ...(id === '' ? {} : { id }), hold: true }
	const got = useGet<FeatureRow>(then(`${path}/row`, { ...of, as_of: asOf.value }), live)
	if (got.data && got.data.entity_key !== id) setId(got.data.entity_key)
	const chosen = useMemo(() => (place.value.params.get('f') ?? '').split(',').filter(f => view.features.some(x => x.name === f)), [place.value.params.get('f')])
	const shown = chosen.length > 0 ? chosen : view.features.filter(f => /^(float|int)/.test(f.type)).slice(0, 1).map(f => f.name)
	const toggle = (f: string) => set({ f: (shown.includes(f) ? shown.filter(x => x !== f) : [...shown, f].slice(-curvesMost)).join(',') }, true)
	return (
		<Shown got={got} rows={10}>{r => (
			<>
				<News n={got.news} show={() => { got.again(); setRound(round + 1) }} />
				{r.features.every(f => f.status === 'NOT_FOUND') ? <Empty why={t.nothingKnown} /> : <Row r={r} shown={shown} toggle={toggle} />}
				<Moments of={[{ path: url(`${path}/row`, of), dated: true, views: [changing], items: a => a.features ?? [], id: f => f.feature, shows: only('value', 'status') }]} prefix={view.entity === 'movie' ? 'movie/' : view.entity === 'user' ? 'user/' : 'feature'} />
				{knownAt.value !== '' && <TooLate path={path} of={of} at={r.at_millis} live={live} />}
				{shown.length > 0 && <Series key={`series ${round}`} path={path} of={of} names={shown} r={r} />}
				<History key={`history ${round}`} path={path} of={of} names={shown} live={live} />
			</>
		)}</Shown>
	)
}

const shownValue = (v: unknown): string => (v === null || v === undefined ? '–' : typeof v === 'number' ? figure(v) : Array.isArray(v) ? v.map(String).join(', ') : typeof v === 'object' ? JSON.stringify(v) : String(v))
const wholeValue = (v: unknown): string => (v === null || v === undefined ? '' : typeof v === 'object' ? JSON.stringify(v) : String(v)).slice(0, wholeMost)
const wholeMost = 4000 // letters under the pointer; the event has all
const changeOf = (c: { from: unknown; to: unknown }): string => { const [from, to] = [shownValue(c.from), shownValue(c.to)]; return `${from.length > 150 ? `${from.slice(0, 150)}…` : from} → ${to}` }

// By is what somebody did, or was said.
function By({ c }: { c: Cause }) {
	return <span>{c.interaction_type ?? c.event_type}{c.rating ? ` ${c.rating}` : ''}{c.movie_id && <> · <a href={to(['events', 'streams', 'movie', c.movie_id])}>{t.film} {c.movie_id}</a></>}{c.user_id && <> · <a href={to(['try'], { user: c.user_id })}>{t.person} {c.user_id}</a></>}{c.offline && <span class="dim"> {t.forTraining}</span>}</span>
}

function Row({ r, shown, toggle }: { r: FeatureRow; shown: string[]; toggle: (f: string) => void }) {
	return (
		<section data-row-of=""><h2>{t.pointInTime}</h2>
			<Facts>
				<Fact name={t.happened}><Time at={r.at_millis} short={false} /></Fact>
				<Fact name={t.knownBy}>{r.known_millis ? <Time at={r.known_millis} short={false} /> : t.now}</Fact>
				<Fact name={t.hash}><span class="mono">{r.definitions_hash.slice(0, 16)}</span></Fact>
				{asOf.value !== '' && knownAt.value !== asOf.value && <Fact name={t.training}><button type="button" class="quiet" onClick={() => set({ known_at: asOf.value })}>{t.asTrainingSaw}</button></Fact>}
			</Facts>
			<div class="scroll-x" tabIndex={0} role="group" aria-label={t.pointInTime}><table class="roomy"><thead><tr><th class="tick" aria-label={t.selected} /><th>{t.feature}</th><th>{t.value}</th><th>{t.lastChange}</th><th>{t.what}</th><th>{t.event}</th></tr></thead>
				<tbody>{r.features.map(f => (
					<tr key={f.feature} class={shown.includes(f.feature) ? 'asked' : ''}><td class="tick"><input type="checkbox" aria-label={t.select(f.feature)} checked={shown.includes(f.feature)} onChange={() => toggle(f.feature)} /></td><td class="mono">{f.feature}</td>
						<td title={wholeValue(f.value)}>{f.value === null ? <span class="dim">– {t.statuses[f.status] ?? f.status}</span> : <b><Cut text={shownValue(f.value)} /></b>}</td><Last f={f} to={r.looked_to_millis} /></tr>
				))}</tbody></table></div>
			{r.looked_to_millis ? <p class="dim">{t.lookedBackTo} <Time at={r.looked_to_millis} /></p> : null}
		</section>
	)
}

// TooLate is what had happened by a time, and was recorded after what the row knows.
function TooLate({ path, of, at, live }: { path: string; of: Record<string, string>; at: number; live: Live }) {
	const got = useGet<Late>(url(`${path}/late`, { ...of, as_of: at, known_after: knownAt.value }), live)
	return (
		<><News n={got.news} show={got.again} /><Shown got={got} rows={1}>{l => l.items.length === 0 ? null : (
			<section data-too-late=""><h2>{t.tooLate} <span class="dim">{l.items.length}{l.more ? '+' : ''}</span></h2><p class="dim">{t.tooLateWhat}</p>
				<ol class="entries">{l.items.map(c => <li key={c.position + c.event_id}><s><Time at={c.event_millis} /></s><Position at={c.position} /><span class="what"><s><By c={c} /></s></span><span class="dim from">{t.recordedTime} <Time at={c.recorded_millis} /></span></li>)}</ol>
				{l.looked_to_millis ? <p class="dim">{t.lookedBackTo} <Time at={l.looked_to_millis} /></p> : null}</section>
		)}</Shown></>
	)
}

// Last are the cells of the event that made a value. As time goes by the value may be another: windows slide.
function Last({ f, to: lookedTo }: { f: Sourced; to: number | undefined }) {
	if (!f.by) return <td class="dim" colSpan={3}>{f.value !== null && lookedTo ? `${t.before} ${time(lookedTo, true)}` : '–'}</td>
	return <><td><Time at={f.by.event_millis} /></td><td class="wrap"><span title={`${wholeValue(f.by.from)} → ${wholeValue(f.by.to)}`}><Cut tone="dim" text={changeOf(f.by)} /></span> <By c={f.by} /></td><td><Position at={f.by.position} /></td></>
}

// Series draws each feature as it is known, and as it was known at each time, which is what training and serving saw.
function Series({ path, of, names, r }: { path: string; of: Record<string, string>; names: string[]; r: FeatureRow }) {
	const asked = (row: boolean) => url(`${path}/series`, { ...of, features: names.join(','), to: r.at_millis, points: 300, known_at: knownAt.value, known_at_row: row })
	const is = useGet<FeatureSeries>(asked(false))
	const was = useGet<FeatureSeries>(is.data ? `${asked(true)}&from=${is.data.times[0] ?? ''}` : null)
	const charts = useMemo(() => (is.data?.features ?? []).flatMap((f, i) => {
		const curve = (name: string, s: FeatureSeries | undefined): Curve[] => (s?.features[i] ? [{ name, steps: s.times, values: s.features[i].values.map(v => (typeof v === 'number' ? v : Number.NaN)) }] : [])
		return f.values.some(v => typeof v === 'number') ? [{ name: f.feature, curves: [...curve(knownAt.peek() === '' ? t.knownNow : t.asKnown, is.data), ...curve(t.knownThen, was.data?.features[i]?.feature === f.feature ? was.data : undefined)] }] : []
	}), [is.data, was.data, t.knownNow])
	if (is.data === undefined) return is.problem ? <Fault problem={is.problem} again={is.again} /> : <Skeleton rows={4} />
	return (
		<>
			{is.problem && <Fault problem={is.problem} again={is.again} />}{was.problem && <Fault problem={was.problem} again={was.again} />}
			{charts.length > 0 && <section><h2>{t.overTime}</h2><div class="charts">{charts.map(c => <Chart key={c.name} title={c.name} curves={c.curves} note={t.seriesNote(is.data?.times.length ?? 0)} times onPick={at => set({ as_of: new Date(at).toISOString() })} />)}</div></section>}
		</>
	)
}

// History is every event that changed the features, the newest first.
function History({ path, of, names, live }: { path: string; of: Record<string, string>; names: string[]; live: Live }) {
	const at = then(`${path}/history`, { ...of, features: names.join(','), as_of: asOf.value, limit: 50 })
	const got = useGet<Page<Changed>>(at, live)
	const [more, setMore] = useState<{ for: unknown; items: Changed[]; next: string | undefined } | null>(null)
	const [problem, setProblem] = useState<Problem | null>(null)
	const [busy, setBusy] = useState(false)
	const extra = more && more.for === got.data ? more : null
	const next = extra ? extra.next : got.data?.next_cursor
	const load = async () => {
		setBusy(true)
		try {
			const p = await ask<Page<Changed>>(url(at, { cursor: next }))
			setMore({ for: got.data, items: [...(extra?.items ?? []), ...p.items], next: p.next_cursor })
			setProblem(null)
		} catch (e) {
			setProblem(e instanceof Problem ? e : new Problem({ title: String(e) }))
		}
		setBusy(false)
	}
	return (
		<section><h2>{t.changes} <span class="dim mono">{names.join(', ')}</span></h2>
			<Shown got={got} rows={4}>{p => p.items.length === 0 && !next ? <p class="dim">{t.none}</p> : (
				<div class="scroll-x" tabIndex={0} role="group" aria-label={t.changes}><table class="roomy"><thead><tr><th>{t.eventTime}</th><th>{t.changes}</th><th>{t.what}</th><th>{t.event}</th><th>{t.recordedTime}</th></tr></thead>
					<tbody>{[...p.items, ...(extra?.items ?? [])].map(c => <tr key={c.position + c.event_id}><td><Time at={c.event_millis} /></td><td class="wrap">{c.changes.map(x => <div key={x.feature} title={`${wholeValue(x.from)} → ${wholeValue(x.to)}`}>{names.length !== 1 && <span class="mono">{x.feature} </span>}<Cut text={changeOf(x)} /></div>)}</td><td class="wrap"><By c={c} /></td><td><Position at={c.position} /></td><td><Time at={c.recorded_millis} /></td></tr>)}</tbody></table></div>
			)}</Shown>
			{problem && <Fault problem={problem} />}
			{next && <p><button type="button" disabled={busy} onClick={() => void load()}>{t.more}</button></p>}
		</section>
	)
}
