// How are features defined, and since when? What is defined, by kind, with the files of definitions that there were.
import { useMemo, useRef, useState } from 'preact/hooks'
import { type Got, Problem, send, then, useGet } from '../api'
import { type Edit, Lines, lines } from '../lines'
import { announce, Dialog } from '../keys'
import { Cut, Fact, Facts, Position, Tabs, Time, Title } from '../parts/bits'
import { Moments, only } from '../parts/moments'
import { Empty, Fault, News, Shown } from '../parts/states'
import { type Column, Table } from '../parts/table'
import { place, set, to } from '../router'
import { t } from '../text'
import { noCommands } from '../timebar'
import type { FeatureDefinitions, FeatureService, FeatureView, Page } from '../types'
import { FeaturePage } from './feature'

export function Features() {
	const name = place.value.segments[1]
	return name === undefined ? <FeatureList /> : <FeaturePage name={name} />
}

// none takes what there is nothing of for an empty list.
export const none = <T,>(got: Got<Page<T>>): Got<Page<T>> => (got.problem?.status === 404 ? { loading: false, news: got.news, again: got.again, data: { items: [] } } : got)

interface Row extends FeatureView { kind: string; found: string }

function FeatureList() {
	const params = place.value.params
	const tab = params.get('tab') ?? ''
	const current = useGet<FeatureDefinitions>(then('/api/v1/features/definitions'), { views: ['features'] })
	const [applying, setApplying] = useState(false)
	const off = noCommands()
	const unread = current.data === undefined && (current.loading || current.problem?.status !== 404) // what is applied is instead of what was read, or where there is nothing
	return (
		<div class="full">
			<Title side={<button type="button" class="main" data-focus="apply" disabled={off !== '' || unread} title={off} onClick={() => setApplying(true)}>{t.applyDefinitions}</button>}>{t.features}</Title>
			{off && <p class="dim">{off}</p>}
			{current.data
				? <Facts><Fact name={t.definitions}><span class="mono wrap">{current.data.hash.slice(0, 16)}</span></Fact><Fact name={t.sinceWhen}><Time at={current.data.event_millis} /></Fact><Fact name={t.event}><Position at={current.data.position} /></Fact><Fact name={t.actor}>{current.data.actor ?? '–'}</Fact></Facts>
				: current.problem && current.problem.status !== 404 && <Fault problem={current.problem} again={current.again} />}
			<Tabs all={[['', t.featureViews], ['services', t.services], ['definitions', t.definitions]]} now={tab} href={id => to(['features'], { tab: id })} />
			{tab === 'services' ? <Services /> : tab === 'definitions' ? <Definitions /> : <Views />}
			<Moments of={tab === 'services' ? [{ path: '/api/v1/features/services', views: ['features'], id: s => s.name, shows: only('features', 'description') }] : kindsOfViews.map(([kind, path]) => ({ name: t.featureKinds[kind] ?? kind, path, views: ['features'], id: v => v.name, page: v => to(['features', v.name]), shows: only('entity', 'entities', 'join_keys', 'push_source', 'ttl_millis', 'inputs', 'request', 'features') }))} prefix="feature" />
			{applying && <Apply now={current.data} close={() => setApplying(false)} />}
		</div>
	)
}

// The kinds of views, and where they are listed.
const kindsOfViews = [['computed', '/api/v1/features/views'], ['pushed', '/api/v1/features/external'], ['on_demand', '/api/v1/features/on-demand']] as const

function Views() {
	const q = place.value.params.get('q') ?? ''
	const computed = none(useGet<Page<FeatureView>>(then('/api/v1/features/views'), { views: ['features'] }))
	const pushed = none(useGet<Page<FeatureView>>(then('/api/v1/features/external'), { views: ['features'] }))
	const derived = none(useGet<Page<FeatureView>>(then('/api/v1/features/on-demand'), { views: ['features'] }))
	const rows = useMemo(() => {
		const words = q.toLowerCase().split(/\s+/).filter(w => w !== '')
		const all = [['computed', computed.data?.items], ['pushed', pushed.data?.items], ['on_demand', derived.data?.items]] as const
		return all.flatMap(([kind, views]) => (views ?? []).map((v): Row => ({ ...v, kind, found: '' }))).flatMap(v => {
			if (words.length === 0) return [v]
			const has = (text: string) => words.every(w => text.toLowerCase().includes(w))
			const found = v.features.filter(f => has(`${f.name} ${f.description ?? ''} ${f.aggregation ?? ''} ${f.expression ?? ''}`)).map(f => f.name)
			return found.length > 0 || has(`${v.name} ${v.description ?? ''} ${v.entity ?? ''} ${(v.entities ?? []).join(' ')} ${v.kind}`) ? [{ ...v, found: found.join(', ') }] : []
		})
	}, [computed.data, pushed.data, derived.data, q])
	const columns: Column<Row>[] = [
		{ id: 'name', head: t.featureView, width: 'minmax(150px, 1fr)', line: 1, cell: v => <a href={to(['features', v.name])} tabIndex={-1}>{v.name}</a> },
		{ id: 'kind', head: t.runType, width: '120px', line: 1, cell: v => t.featureKinds[v.kind] ?? v.kind },
		{ id: 'entity', head: t.entity, width: 'minmax(80px, 160px)', line: 2, cell: v => v.entity ?? (v.entities ?? []).join(', ') },
		{ id: 'features', head: t.features, width: '72px', num: true, line: 2, cell: v => v.features.length },
		{ id: 'what', head: t.description, width: 'minmax(200px, 3fr)', cell: v => <span class="dim" title={v.description}>{v.found ? <b>{v.found}</b> : v.description}</span> },
	]
	const all = [computed, pushed, derived]
	const problem = all.find(g => g.problem)
	const known = all.every(g => g.data !== undefined)
	return (
		<>
			<form class="filters" role="search" onSubmit={e => e.preventDefault()}><label class="wide">{t.filter}<input data-filter="" data-focus="filter" value={q} placeholder={t.filterFeatures} onInput={e => set({ q: e.currentTarget.value }, true)} /></label></form>
			{problem?.problem && <Fault problem={problem.problem} again={problem.again} />}
			{known && (rows.length === 0
				? q === '' ? <Empty why={t.noFeatures} command="projectionist features apply FILE" /> : <Empty why={t.nothingFound} />
				: <Table id="features" of={q} label={t.features} rows={rows} columns={columns} keyOf={v => `${v.kind} ${v.name}`} href={v => to(['features', v.name])} />)}
		</>
	)
}

function Services() {
	const got = none(useGet<Page<FeatureService>>(then('/api/v1/features/services'), { views: ['features'] }))
	return (
		<Shown got={got}>{p => p.items.length === 0 ? <Empty why={t.none} /> : (
			<div class="scroll-x" tabIndex={0} role="group" aria-label={t.services}><table class="roomy"><thead><tr><th>{t.service}</th><th>{t.features}</th><th>{t.description}</th></tr></thead>
				<tbody>{p.items.map(s => <tr key={s.name}><td class="wrap">{s.name}</td><td class="wrap">{s.features.map((f, i) => <span key={f}>{i > 0 && ', '}<a class="mono" href={to(['features', f.split(':')[0] ?? f])}>{f}</a></span>)}</td><td class="dim wrap">{s.description}</td></tr>)}</tbody></table></div>
		)}</Shown>
	)
}

// Definitions are the files that were in force, each beside the one before.
function Definitions() {
	const got = useGet<Page<FeatureDefinitions>>(then('/api/v1/features/definitions/history', { limit: 200 }), { views: ['features'], hold: true })
	const of = place.value.params.get('of')
	return (
		<><News n={got.news} show={got.again} />
			<Shown got={none(got)}>{p => {
				const at = p.items.findIndex(d => d.event_id === of)
				const [is, was] = [p.items[at], p.items[at + 1]]
				return p.items.length === 0 ? <Empty why={t.noFeatures} command="projectionist features apply FILE" /> : (
					<div class="scroll">
						<div class="scroll-x" tabIndex={0} role="group" aria-label={t.definitions}><table class="roomy"><thead><tr><th>{t.definitions}</th><th>{t.sinceWhen}</th><th>{t.actor}</th><th>{t.event}</th><th /></tr></thead>
							<tbody>{p.items.map((d, i) => <tr key={d.event_id} class={i === at ? 'asked' : ''}><td class="mono">{d.hash.slice(0, 16)}</td><td><Time at={d.event_millis} /></td><td><Cut text={d.actor} /></td><td><Position at={d.position} /></td><td><button type="button" class="quiet" aria-pressed={i === at} onClick={() => set({ of: i === at ? '' : d.event_id })}>{p.items[i + 1] ? t.whatChanged : t.theFile}</button></td></tr>)}</tbody></table></div>
						{is && <section><h2>{was ? `${was.hash.slice(0, 8)} → ${is.hash.slice(0, 8)}` : is.hash.slice(0, 16)}</h2>{was ? <Lines edits={lines(was.definitions, is.definitions)} /> : <pre class="json" tabIndex={0} role="group" aria-label={t.theFile}>{is.definitions}</pre>}</section>}
					</div>
				)
			}}</Shown>
		</>
	)
}

// Apply puts a file in force. What it changes is shown before.
function Apply({ now, close }: { now: FeatureDefinitions | undefined; close: () => void }) {
	const [was] = useState(now) // that is changed: what another has applied meanwhile is not overwritten
	const [text, setText] = useState(now?.definitions ?? '')
	const [edits, setEdits] = useState<Edit[] | null>(null)
	const [busy, setBusy] = useState(false)
	const [problem, setProblem] = useState<Problem | null>(null)
	const [key] = useState(() => crypto.randomUUID?.() ?? String(Math.random()))
	const asked = useRef(0) // when what changes was asked for: the other half of a double click does not apply it unread
	const act = async (e: Event) => {
		e.preventDefault()
		if (busy || e.timeStamp - asked.current < 600) return
		setProblem(null)
		if (!edits) {
			asked.current = e.timeStamp
			setEdits(lines(was?.definitions ?? '', text))
			return
		}
		setBusy(true)
		try {
			const r = await send('/api/v1/features/definitions', { method: 'POST', body: text, headers: { 'Content-Type': 'application/yaml', 'Idempotency-Key': key, ...(was ? { 'If-Match': `"${was.revision}"` } : {}) } })
			const { unchanged } = (await r.json()) as { unchanged?: boolean }
			if (unchanged) throw new Problem({ status: 409, title: t.sameDefinitions })
			announce(t.definitionsApplied)
			close()
		} catch (p) {
			setProblem(p instanceof Problem ? p : new Problem({ title: String(p) }))
			setEdits(null)
			setBusy(false)
		}
	}
	return (
		<Dialog open close={close} title={t.applyDefinitions}>
			<form onSubmit={e => void act(e)}>
				{edits
					? <><p>{t.applyWhat}</p><Lines edits={edits} /></>
					: <label>{t.theFile}<textarea class="mono" rows={16} spellcheck={false} autofocus value={text} onInput={e => setText(e.currentTarget.value)} /></label>}
				{problem && <Fault problem={problem} />}
				<p class="buttons">{edits ? <><button type="submit" class="main" autofocus disabled={busy || edits.every(l => l.kind === 'same')}>{t.applyDefinitions}</button> <button type="button" onClick={() => setEdits(null)}>{t.before}</button></> : <button type="submit" class="main" disabled={text.trim() === ''}>{t.whatChanges}</button>} <button type="button" onClick={close}>{t.cancel}</button></p>
			</form>
		</Dialog>
	)
}
