// One feature view: how it is defined, was defined, and who was trained on it.
import { useState } from 'preact/hooks'
import { segment, then, useGet } from '../api'
import { Diff, diff } from '../diff'
import { duration } from '../format'
import { Fact, Facts, Position, Stream, Tabs, Time, Title } from '../parts/bits'
import { Moments } from '../parts/moments'
import { Shown } from '../parts/states'
import { place, set, to } from '../router'
import { t } from '../text'
import type { Feature, FeatureVersion, FeatureView, Page } from '../types'
import { Figures } from './featurefigures'
import { Values } from './featurevalues'

export function FeaturePage({ name }: { name: string }) {
	const tab = place.value.params.get('tab') ?? ''
	const got = useGet<FeatureVersion>(then(`/api/v1/features/views/${segment(name)}/versions/latest`), { views: ['features'] })
	return (
		<Shown got={got} head={<Title of={<a href={to(['features'])}>{t.features}</a>}>{name}</Title>}>{v => {
			const view = v.definition
			const tabs: [string, string][] = [['', t.definition], ...(v.kind === 'on_demand' ? [] : [['values', t.values], ['figures', t.distribution]] as [string, string][])]
			return (
				<>
					<Title of={<a href={to(['features'])}>{t.features}</a>} side={<Position at={v.position} />}>{name}</Title>
					{view?.description && <p>{view.description}</p>}
					<Tabs all={tabs} now={tab} href={id => to(['features', name], { ...kept(), tab: id })} />
					{view && (tab === 'values' ? <Values view={view} kind={v.kind} /> : tab === 'figures' ? <Figures name={name} /> : <Definition v={v} view={view} />)}
				</>
			)
		}}</Shown>
	)
}

// kept are the parameters that go along from tab to tab: whose features.
const kept = () => Object.fromEntries([...place.value.params].filter(([k]) => k.startsWith('key.')))

// what says how a feature comes about.
export const what = (f: Feature): string => f.expression ?? [f.aggregation, f.of, f.genre, f.window_days && `${f.window_days} d`, f.half_life_days && `½ ${f.half_life_days} d`, f.kinds?.join('|'), f.prior_count && `${f.prior_mean ?? 0} × ${f.prior_count}`, f.k && `k ${f.k}`].filter(Boolean).join(' · ')

function Definition({ v, view }: { v: FeatureVersion; view: FeatureView }) {
	const path = `/api/v1/features/views/${segment(v.feature_view)}`
	const versions = useGet<Page<FeatureVersion>>(then(`${path}/versions`), { views: ['features'] })
	return (
		<>
			<Moments of={[{ path: `${path}/versions/latest`, views: ['features'] }]} stream={v.definitions_hash ? 'features/definitions' : `feature-view/${v.feature_view}`} />
			<Facts>
				<Fact name={t.runType}>{t.featureKinds[v.kind] ?? v.kind}</Fact>
				{v.kind !== 'on_demand' && <Fact name={t.entity}>{view.entity ?? (view.entities ?? []).join(', ')}</Fact>}
				<Fact name={t.version}>{v.version}{!v.in_force && <span class="warn"> {t.notInForce}</span>}</Fact><Fact name={t.hash}><span class="mono">{v.hash.slice(0, 16)}</span></Fact>
				<Fact name={t.sinceWhen}><Time at={v.event_millis} /></Fact>{v.kind !== 'on_demand' && <Fact name={t.ttl}>{view.ttl_millis ? duration(view.ttl_millis) : t.noTTL}</Fact>}
				{view.push_source && <Fact name={t.source}>{view.push_source}</Fact>}<Fact name={t.stream}><Stream name={v.definitions_hash ? 'features/definitions' : `feature-view/${v.feature_view}`} /></Fact>
			</Facts>
			{(view.inputs?.length ?? 0) > 0 && <p>{t.computedOf} {view.inputs?.map((i, n) => <span key={i.name}>{n > 0 && ', '}{i.name} (<a class="mono" href={to(['features', i.feature.split(':')[0] ?? ''])}>{i.feature}</a>)</span>)}</p>}
			{(view.request?.length ?? 0) > 0 && <p>{t.saidByRequest} {view.request?.map(r => `${r.name} (${r.type})`).join(', ')}</p>}
			<section><h2>{t.features}</h2>
				<div class="scroll-x" tabIndex={0} role="group" aria-label={t.features}><table class="roomy"><thead><tr><th>{t.feature}</th><th>{t.type}</th><th>{t.how}</th><th>{t.description}</th></tr></thead>
					<tbody>{view.features.map(f => <tr key={f.name}><td class="mono">{v.kind === 'on_demand' ? f.name : <a href={to(['features', v.feature_view], { ...kept(), tab: 'values', f: f.name })}>{f.name}</a>}</td><td>{f.type}</td><td class="mono dim wrap">{what(f)}</td><td class="dim wrap">{f.description}</td></tr>)}</tbody></table></div>
			</section>
			<section><h2>{t.versions}</h2><Shown got={versions} rows={2}>{p => <Versions all={p.items} path={path} />}</Shown></section>
			<Trained name={v.feature_view} versions={versions.data?.items ?? []} />
		</>
	)
}

function Versions({ all, path }: { all: FeatureVersion[]; path: string }) {
	const at = Number(place.value.params.get('version') ?? 0)
	const was = all.findLast(v => v.version < at)
	const is = useGet<FeatureVersion>(was ? then(`${path}/versions/${at}`) : null)
	const before = useGet<FeatureVersion>(was ? then(`${path}/versions/${was.version}`) : null)
	return (
		<>
			<div class="scroll-x" tabIndex={0} role="group" aria-label={t.versions}><table class="roomy"><thead><tr><th class="num">{t.version}</th><th>{t.hash}</th><th class="num">{t.features}</th><th>{t.sinceWhen}</th><th>{t.event}</th><th /></tr></thead>
				<tbody>{[...all].reverse().map(v => <tr key={v.version}><td class="num">{v.version}{v.in_force && <span class="ok"> {t.inForce}</span>}</td><td class="mono">{v.hash.slice(0, 16)}</td><td class="num">{v.features}</td><td><Time at={v.event_millis} /></td><td><Position at={v.position} /></td>
					<td>{all.some(o => o.version < v.version) && <button type="button" class="quiet" aria-pressed={v.version === at} onClick={() => set({ version: v.version === at ? '' : v.version })}>{t.whatChanged}</button>}</td></tr>)}</tbody></table></div>
			{was && <Shown got={before} rows={2}>{a => <Shown got={is} rows={2}>{b => <Diff changes={diff(byName(a.definition), byName(b.definition))} names={[`${t.version} ${a.version}`, `${t.version} ${b.version}`]} />}</Shown>}</Shown>}
		</>
	)
}

// byName has features under their names: another order is no other feature.
const byName = (v: FeatureView | undefined) => v && { ...v, features: Object.fromEntries(v.features.map(f => [f.name, f])) }

interface Graph { nodes: string[]; truncated?: boolean }

const versionsMost = 20

// Trained is what was made of the view: the models that have seen each of its versions, the newest first.
function Trained({ name, versions }: { name: string; versions: FeatureVersion[] }) {
	const [most, setMost] = useState(versionsMost)
	return (
		<section><h2>{t.trainedOn}</h2>
			<ul class="plain-list">{versions.slice(-most).reverse().map(v => <li key={v.version}><span class="dim">{t.version} {v.version}</span> <On node={`feature-view/${name}@v${v.version}`} /></li>)}</ul>
			{versions.length > most && <p><button type="button" onClick={() => setMost(most + versionsMost)}>{t.more}</button></p>}
		</section>
	)
}

// On are the models that were trained on a version.
function On({ node }: { node: string }) {
	const got = useGet<Graph>(then('/api/v1/lineage', { node, direction: 'downstream' }), { views: ['models', 'training_sets', 'features'] })
	return (
		<Shown got={got} rows={1}>{g => {
			const models = g.nodes.filter(n => n.startsWith('model/'))
			return <>{models.length === 0 ? <span class="dim">{t.none}</span> : models.map((m, i) => <span key={m}>{i > 0 && ', '}<a href={to(['models', ...m.split('/').slice(1)])}>{m.slice('model/'.length)}</a></span>)}{g.truncated && <span class="warn"> {t.truncated(g.nodes.length)}</span>}</>
		}}</Shown>
	)
}
