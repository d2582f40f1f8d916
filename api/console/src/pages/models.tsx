// Which version is where, when, by whom?
import { useMemo, useState } from 'preact/hooks'
import { exact, segment, then, url, useGet } from '../api'
import { Diff, diff } from '../diff'
import { bytes } from '../format'
import { Graph } from '../graph'
import { Copy, Cut, Fact, Facts, Id, Position, State, Stream, Time, Title } from '../parts/bits'
import { type Answer, Moments, only, rowsMost } from '../parts/moments'
import { Empty, Fault, Shown } from '../parts/states'
import { place, set, to } from '../router'
import { t } from '../text'
import { noCommands } from '../timebar'
import type { Deployment, Model, ModelVersion, Page } from '../types'
import { Changes, Deploy, type Read } from './modelacts'
import { VersionActs } from './slots'

export function Models() {
	const s = place.value.segments
	if (s[1] === undefined) return <ModelList />
	return s[2] === undefined ? <ModelPage name={s[1]} /> : <VersionPage name={s[1]} n={Number(s[2])} />
}

const above = () => <a href={to(['models'])}>{t.models}</a>

const pairsMost = 6 // of a model in the list: its page has them all

// modelShows is what counts of a model as moments are compared.
const modelShows = (m: Answer): Answer => ({ ...only('name', 'description', 'aliases', 'tags', 'deleted')(m), versions: (m.versions as Answer[] | undefined ?? []).map(only('version', 'stage', 'slot', 'algorithm')) })

function ModelList() {
	const got = useGet<Page<Model>>(then('/api/v1/models', { limit: 500 }), { views: ['models'] })
	const slots = useGet<{ items: Deployment[] }>(then('/api/v1/deployments'), { views: ['deployments'] })
	return (
		<>
			<Title>{t.models}</Title>
			<Moments of={[{ path: url('/api/v1/models', { limit: rowsMost }), views: ['models'], id: m => m.key, page: m => to(['models', m.name]), shows: modelShows }]} prefix="model/" />
			<Shown got={got}>{p => p.items.length === 0 ? <Empty why={t.noModels} command="projectionist workflows run movie_training_pipeline" /> : (
				<div class="scroll-x" tabIndex={0} role="group" aria-label={t.models}><table><thead><tr><th>{t.model}</th><th class="num">{t.versions}</th><th>{t.serving}</th><th>{t.stage}</th><th>{t.aliases}</th><th>{t.changed}</th></tr></thead>
					<tbody>{p.items.filter(m => !m.deleted).map(m => (
						<tr key={m.key}><td><Cut text={m.name} href={to(['models', m.name])} /><div><Cut text={m.description} tone="dim" /></div></td><td class="num">{m.versions.length}</td>
							<td class="slots">{slots.data?.items.filter(d => d.model === m.name).map(d => <span key={d.slot}>{d.slot}: <a href={to(['models', m.name, d.version])}>{d.version}</a> </span>)}</td>
							<td>{m.versions.filter(v => v.stage !== 'None' && v.stage !== 'Archived').slice(-pairsMost).map(v => <span key={v.version} class="pair"><State of={v.stage} /> {v.version}</span>)}</td>
							<td>{Object.entries(m.aliases ?? {}).slice(0, pairsMost).map(([a, v]) => <div key={a}><Cut text={`@${a}`} /> {v}</div>)}{Object.keys(m.aliases ?? {}).length > pairsMost && '…'}</td><td><Time at={m.updated_millis} /></td></tr>
					))}</tbody></table></div>
			)}</Shown>
		</>
	)
}

function ModelPage({ name }: { name: string }) {
	const got = useGet<Model>(then(`/api/v1/models/${segment(name)}`), { views: ['models'], as: exact })
	const slot = place.value.params.get('slot') ?? 'production'
	const slots = useGet<{ items: Deployment[] }>(then('/api/v1/deployments'), { views: ['deployments'] })
	const history = useGet<Page<Deployment>>(then(`/api/v1/deployments/${segment(slot)}/history`, { limit: 1000 }), { views: ['deployments'] })
	const names = [...new Set(['production', ...(slots.data?.items.map(d => d.slot) ?? []), slot])]
	const vs = place.value.params.get('vs_version')
	const at = place.value.params.get('version')
	return (
		<Shown got={got} head={<Title of={above()}>{name}</Title>}>{m => {
			const deployed = (history.data?.items ?? []).filter(d => d.model === m.name || d.previous_model === m.name)
			const [a, b] = [m.versions.find(v => String(v.version) === vs), m.versions.find(v => String(v.version) === at)]
			return (
				<>
					<Title of={above()} side={<Stream name={`model/${m.key}`} />}>{m.name}</Title>
					{m.description && <p>{m.description}</p>}
					<Moments of={[{ path: `/api/v1/models/${segment(name)}`, views: ['models'] }]} stream={`model/${m.key}`} />
					<section><h2>{t.lanes}</h2>{names.length > 1 && <nav class="tabs" aria-label={t.slot}>{names.map(s => <button key={s} type="button" aria-pressed={s === slot} onClick={() => set({ slot: s === 'production' ? '' : s })}>{s}</button>)}</nav>}<Lanes model={m} deployed={deployed} /></section>
					<section><h2>{t.versions}</h2>
						<div class="scroll-x" tabIndex={0} role="group" aria-label={t.versions}><table><thead><tr><th class="num">{t.version}</th><th>{t.stage}</th><th>{t.aliases}</th><th>{t.algorithm}</th><th>{t.registered}</th><th>{t.actor}</th><th>{t.run}</th><th class="num">{t.size}</th><th>{t.compare}</th></tr></thead>
							<tbody>{[...m.versions].reverse().map((v, i, all) => (
								<tr key={v.version}><td class="num"><a href={to(['models', m.name, v.version])}>{v.version}</a></td><td><State of={v.stage} /></td><td><Cut text={Object.entries(m.aliases ?? {}).filter(([, n]) => n === v.version).map(([x]) => `@${x}`).join(' ')} /></td><td><Cut text={v.algorithm} /></td><td><Time at={v.event_millis} /></td><td><Cut text={v.actor} /></td><td>{v.run_id && <Id id={v.run_id} href={to(['runs', v.run_id])} />}</td><td class="num">{v.bytes ? bytes(v.bytes) : ''}</td>
									<td>{all[i + 1] && <button type="button" class="quiet" onClick={() => set({ version: v.version, vs_version: all[i + 1]?.version })}>{t.diffWith(all[i + 1]?.version ?? 0)}</button>}</td></tr>
							))}</tbody></table></div>
					</section>
					{a && b && <section><h2>{t.version} {a.version} → {b.version}</h2><Diff changes={diff(stated(a), stated(b))} names={[`${m.name} ${a.version}`, `${m.name} ${b.version}`]} /></section>}
				</>
			)
		}}</Shown>
	)
}

// stated is what a version says of how it was made.
const stated = (v: ModelVersion) => ({ algorithm: v.algorithm, params: v.params ?? {}, seed: v.seed, code_version: v.code_version, dataset_id: v.dataset_id, dataset_cut: v.dataset_cut, features_hash: v.features_hash, run_id: v.run_id, bytes: v.bytes, stage: v.stage })

// Lanes draw when which version served, and when each was registered and staged.
function Lanes({ model, deployed }: { model: Model; deployed: Deployment[] }) {
	const order = useMemo(() => [...deployed].sort((a, b) => a.event_millis - b.event_millis), [deployed])
	const start = Math.min(...model.versions.map(v => v.event_millis), ...order.map(d => d.event_millis))
	const end = Math.max(model.updated_millis, ...order.map(d => d.event_millis), ...model.versions.map(v => v.staged_millis ?? 0), start + 1000)
	if (model.versions.length === 0) return <p class="dim">{t.none}</p>
	const last = model.versions.slice(-30).reverse()
	const x = (at: number) => 80 + ((at - start) / (end - start)) * 880
	return (
		<svg class="lanes" viewBox={`0 0 1000 ${last.length * 22 + 22}`} role="img" aria-label={`${t.lanes}: ${order.map(d => `${d.version} ${new Date(d.event_millis).toISOString()}`).join(', ')}`}>
			{last.map((v, i) => {
				const y = 14 + i * 22
				return (
					<g key={v.version}>
						<text x="8" y={y + 4}>{v.version}</text><line class="rule" x1={x(v.event_millis)} x2="980" y1={y} y2={y} />
						{order.map((d, k) => (d.model === model.name && d.version === v.version ? <rect key={d.position} class="served" x={x(d.event_millis)} y={y - 6} width={Math.max(3, x(order[k + 1]?.event_millis ?? end) - x(d.event_millis) + (order[k + 1] ? 0 : 20))} height="12"><title>{`${d.slot} ${new Date(d.event_millis).toISOString()} ${d.actor ?? ''} ${d.reason ?? ''}`}</title></rect> : null))}
						<circle cx={x(v.event_millis)} cy={y} r="4"><title>{`${t.registered} ${new Date(v.event_millis).toISOString()}`}</title></circle>
						{v.staged_millis ? <path d={`M${x(v.staged_millis)} ${y - 6}l5 6l-5 6l-5 -6z`} class="staged"><title>{`${v.stage} ${new Date(v.staged_millis).toISOString()} ${v.stage_reason ?? ''}`}</title></path> : null}
					</g>
				)
			})}
			<text x="80" y={last.length * 22 + 18} class="dim">{new Date(start).toISOString().slice(0, 16)}</text><text x="980" y={last.length * 22 + 18} text-anchor="end" class="dim">{new Date(end).toISOString().slice(0, 16)}</text>
		</svg>
	)
}

interface LineageGraph { node: string; nodes: string[]; edges: { from: string; to: string; kind: string }[]; truncated?: boolean }

function VersionPage({ name, n }: { name: string; n: number }) {
	const got = useGet<ModelVersion>(then(`/api/v1/models/${segment(name)}/versions/${n}`), { views: ['models'], as: exact })
	const slots = useGet<{ items: Deployment[] }>(then('/api/v1/deployments'), { views: ['deployments'] })
	const model = useGet<Model>(then(`/api/v1/models/${segment(name)}`), { views: ['models'], as: exact })
	const lineage = useGet<LineageGraph>(then('/api/v1/lineage', { node: `model/${name}/${n}` }), { views: ['models'] })
	const [deploying, setDeploying] = useState<Read | null>(null) // as it was read when it was asked for
	const serves = slots.data?.items.filter(d => d.model === name && d.version === n) ?? []
	const off = noCommands()
	const look = () => { got.again(); model.again(); slots.again() }
	return (
		<Shown got={got} head={<Title of={<>{above()} / <a href={to(['models', name])}>{name}</a></>}>{n}</Title>}>{one => {
			const v = model.data?.versions.find(x => x.version === n) ?? one // what is shown is of the reading that commands are decided on
			const read = model.data && slots.data ? { v, m: model.data, now: slots.data.items.find(d => d.slot === 'production') } : null
			return (
			<>
				<Title of={<>{above()} / <a href={to(['models', name])}>{name}</a></>} side={<>
					<button type="button" class="main" data-focus="deploy" disabled={off !== '' || read === null || serves.some(d => d.slot === 'production')} title={off || (serves.length > 0 ? t.servesAlready : '')} onClick={() => setDeploying(read)}>{t.deployVersion(name, n)}</button>
					{model.data && slots.data && <VersionActs name={name} n={n} model={model.data} slots={slots.data.items} look={look} />}</>}>{name} {n} <State of={v.stage} /></Title>
				{off && <p class="dim">{off}</p>}
				{slots.problem && slots.data === undefined && <Fault problem={slots.problem} again={slots.again} />}
				{model.problem && <Fault problem={model.problem} again={model.again} />}
				{serves.map(d => <p key={d.slot} class="ok">{t.servesSince(d.slot)} <Time at={d.event_millis} /> <Position at={d.position} /></p>)}
				<Facts>
					<Fact name={t.algorithm}>{v.algorithm || '–'}</Fact><Fact name={t.registered}><Time at={v.event_millis} /></Fact><Fact name={t.actor}>{v.actor ?? '–'}</Fact>
					<Fact name={t.event}><Position at={v.position} /></Fact>{v.run_id && <Fact name={t.run}><Id id={v.run_id} href={to(['runs', v.run_id])} /></Fact>}
					{v.dataset_id && <Fact name={t.dataset}><Stream name={`dataset/${v.dataset_id}`} /></Fact>}<Fact name={t.seed}><span class="mono">{String(v.seed)}</span></Fact><Fact name={t.code}>{v.code_version || '–'}</Fact>
					<Fact name={t.size}>{bytes(v.bytes)}</Fact>
				</Facts>
				<Moments of={[{ path: `/api/v1/models/${segment(name)}/versions/${n}`, views: ['models'] }]} stream={`model/${model.data?.key ?? name}`} />
				{read && <Changes name={name} {...read} look={look} />}
				<section><h2>{t.params}</h2><table class="pairs"><tbody>{Object.entries(v.params ?? {}).sort().map(([k, x]) => <tr key={k}><th scope="row" class="mono">{k}</th><td>{x}</td></tr>)}</tbody></table></section>
				<section><h2>{t.cut}</h2><p class="mono wrap dim">{v.dataset_cut} <Copy text={v.dataset_cut} /></p><h2>{t.blob}</h2><p class="mono wrap dim">{v.blob} <Copy text={v.blob} /></p></section>
				<section><h2>{t.lineage}</h2><Shown got={lineage}>{g => g.edges.length === 0 ? <p class="dim">{t.none}</p> : <><Graph nodes={[g.node, ...g.nodes].map(id => ({ id, label: id, ...(nodePage(id) === '' ? {} : { href: nodePage(id) }), asked: id === g.node }))} edges={g.edges.map(e => ({ from: e.from, to: e.to, label: e.kind }))} label={t.lineage} />{g.truncated && <p class="warn">{t.truncated(g.nodes.length)}</p>}</>}</Shown></section>
				{deploying && <Deploy name={name} read={deploying} close={() => setDeploying(null)} done={() => { setDeploying(null); look() }} look={look} />}
			</>
			)
		}}</Shown>
	)
}

// nodePage is where a node of the lineage is shown; "" for one that is shown nowhere.
function nodePage(id: string): string {
	const [kind, ...rest] = id.split('/')
	if (kind === 'model') return to(['models', ...rest])
	if (kind === 'run') return to(['runs', ...rest])
	if (kind === 'workflow-run') return to(['workflows', 'runs', ...rest])
	return kind === 'dataset' || kind === 'training-set' || kind === 'import' ? to(['events', 'streams', ...id.split('/')]) : ''
}
