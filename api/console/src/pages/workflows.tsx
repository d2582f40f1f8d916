// What ran, where did it fail?
import { useState } from 'preact/hooks'
import { command, Problem, segment, then, url, useGet } from '../api'
import { duration } from '../format'
import { Confirm } from '../confirm'
import { announce, Dialog } from '../keys'
import { Cut, Id, Parted, State, Time, Title } from '../parts/bits'
import { type Answer, Moments, only, rowsMost } from '../parts/moments'
import { Empty, Fault, News, Shown } from '../parts/states'
import { go, place, set, to } from '../router'
import { t } from '../text'
import { noCommands } from '../timebar'
import type { Page, Param, Workflow, WorkflowRun } from '../types'
import { WorkflowRunPage } from './workflowrun'

export function Workflows() {
	const s = place.value.segments
	if (s[1] === undefined) return <WorkflowList />
	return s[1] === 'runs' && s[2] !== undefined ? <WorkflowRunPage id={s[2]} /> : <WorkflowPage name={s[1]} />
}

const above = () => <a href={to(['workflows'])}>{t.workflows}</a>

// workflowShows is what counts of a workflow as moments are compared.
const workflowShows = only('description', 'paused', 'tags', 'schedule', 'timezone', 'error', 'params', 'tasks')

function WorkflowList() {
	const got = useGet<Page<Workflow>>(then('/api/v1/workflows'), { views: ['workflows', 'workflow_runs'] })
	const runs = useGet<Page<WorkflowRun>>(then('/api/v1/workflows/runs', { limit: 300 }), { views: ['workflow_runs'] })
	return (
		<>
			<Title>{t.workflows}</Title>
			<Moments of={[{ path: '/api/v1/workflows', views: ['workflows'], id: w => w.name, page: w => to(['workflows', w.name]), shows: workflowShows }]} prefix="workflow/" />
			<Shown got={got}>{p => (
				<div class="scroll-x" tabIndex={0} role="group" aria-label={t.workflows}><table><thead><tr><th>{t.workflow}</th><th>{t.state}</th><th>{t.lastRuns}</th><th>{t.schedule}</th><th>{t.nextRun}</th></tr></thead>
					<tbody>{p.items.map(w => (
						<tr key={w.name}><td><Cut text={w.name} href={to(['workflows', w.name])} /><div>{w.error ? <Cut text={w.error} tone="bad" /> : <Cut text={w.description} tone="dim" />}</div></td>
							<td>{w.paused ? <State of="paused" /> : ''}</td>
							<td class="ticks">{(runs.data?.items ?? []).filter(r => r.workflow === w.name).slice(0, 12).reverse().map(r => <a key={r.run_id} href={to(['workflows', 'runs', r.run_id])} aria-label={`${r.state} ${new Date(r.requested_millis).toISOString()}`}><State of={r.state} bare /></a>)}</td>
							<td class="mono"><Cut text={w.schedule} /> <span class="dim">{w.timezone}</span></td><td><Time at={w.next_millis} /></td></tr>
					))}</tbody></table></div>
			)}</Shown>
		</>
	)
}

const states = ['queued', 'running', 'success', 'failed', 'cancelled']

const runShows = (r: Answer): Answer => ({ ...only('state', 'reason', 'actor', 'note')(r), tasks: (r.tasks as Answer[] | undefined ?? []).map(only('task', 'state', 'try')) })

function WorkflowPage({ name }: { name: string }) {
	const state = place.value.params.get('state') ?? ''
	const got = useGet<Workflow>(then(`/api/v1/workflows/${segment(name)}`), { views: ['workflows'] })
	const runs = useGet<Page<WorkflowRun>>(then('/api/v1/workflows/runs', { workflow: name, state, limit: 50 }), { views: ['workflow_runs'] })
	const [asking, setAsking] = useState(false)
	const off = noCommands()
	const [pausing, setPausing] = useState<'pause' | 'unpause' | ''>('')
	return (
		<Shown got={got} head={<Title of={above()}>{name}</Title>}>{w => (
			<>
				<Title of={above()} side={<>
					<button type="button" disabled={off !== ''} title={off} data-focus="pause" onClick={() => setPausing(w.paused ? 'unpause' : 'pause')}>{w.paused ? t.unpause : t.pause}…</button>
					<button type="button" class="main" data-focus="trigger" disabled={off !== ''} title={off} onClick={() => setAsking(true)}>{t.trigger}</button></>}>{w.name} {w.paused && <State of="paused" />}</Title>
				<p>{w.description}</p>
				{w.error && <p class="bad" role="alert">{w.error}</p>}
				<Moments of={[{ path: `/api/v1/workflows/${segment(name)}`, views: ['workflows'], shows: workflowShows }, { name: t.runs, path: url('/api/v1/workflows/runs', { workflow: name, state, limit: rowsMost }), views: ['workflow_runs'], id: r => r.run_id, page: r => to(['workflows', 'runs', r.run_id]), shows: runShows }]} prefix="workflow" />
				<section><h2>{t.runs} <News n={runs.news} show={runs.again} /></h2>
					<nav class="tabs" aria-label={t.state}>{['', ...states].map(s => <button key={s} type="button" aria-pressed={state === s} onClick={() => set({ state: s })}>{s === '' ? t.all : <State of={s} />}</button>)}</nav>
					<Shown got={runs}>{p => p.items.length === 0 ? <Empty why={t.noWorkflowRuns} command={`projectionist workflows run ${name}`} /> : <Grid runs={p.items} tasks={(w.tasks ?? []).map(k => k.name)} />}</Shown>
				</section>
				{asking && <Trigger w={w} close={() => setAsking(false)} />}
				{pausing && <Confirm title={`${t[pausing]}: ${w.name}`} does={t[pausing]} what={<p>{pausing === 'pause' ? t.pauseWhat : t.unpauseWhat}</p>} close={() => setPausing('')} done={got.again} look={got.again} act={(_, key) => command('POST', `/api/v1/workflows/${segment(name)}/${pausing}`, {}, { key })} />}
			</>
		)}</Shown>
	)
}

// Grid is tasks by runs, the newest run at the left.
function Grid({ runs, tasks }: { runs: WorkflowRun[]; tasks: string[] }) {
	const all = [...new Set([...tasks, ...runs.flatMap(r => r.tasks.map(k => k.task))])]
	return (
		<div class="scroll-x" tabIndex={0} role="group" aria-label={t.runs}>
			<table class="grid"><thead><tr><th scope="col">{t.run}</th><th>{t.state}</th><th>{t.requested}</th><th class="num">{t.duration}</th>{all.map(k => <th key={k} class="slant"><span class="clamp" title={k}><Parted text={k} /></span></th>)}<th>{t.actor}</th></tr></thead>
				<tbody>{runs.map(r => (
					<tr key={r.run_id}><td><Id id={r.run_id} href={to(['workflows', 'runs', r.run_id])} /></td><td><State of={r.state} /></td><td><Time at={r.requested_millis} /></td><td class="num">{r.ended_millis ? duration(r.ended_millis - (r.started_millis ?? r.requested_millis)) : ''}</td>
						{all.map(name => { const k = r.tasks.find(x => x.task === name); return <td key={name} class="cell"><a href={to(['workflows', 'runs', r.run_id], { task: name })} aria-label={`${name} ${k?.state ?? '–'}`}><State of={k?.state ?? 'none'} bare /></a></td> })}<td class="dim"><Cut text={r.actor} /></td></tr>
				))}</tbody></table>
		</div>
	)
}

// Trigger is a form made of the parameters that the workflow declares.
function Trigger({ w, close }: { w: Workflow; close: () => void }) {
	const [conf, setConf] = useState<Record<string, string>>({})
	const [note, setNote] = useState('')
	const [busy, setBusy] = useState(false)
	const [problem, setProblem] = useState<Problem | null>(null)
	const [key] = useState(() => crypto.randomUUID?.() ?? String(Math.random()))
	const act = async (e: Event) => {
		e.preventDefault()
		if (busy) return
		setBusy(true)
		try {
			const r = await command<{ run_id?: string; stream?: string }>('POST', `/api/v1/workflows/${segment(w.name)}/runs`, { conf: Object.fromEntries(Object.entries(conf).filter(([, v]) => v !== '')), note }, { key })
			const id = r.run_id ?? r.stream?.replace('workflow-run/', '')
			close()
			announce(t.triggered(w.name))
			if (id) go(to(['workflows', 'runs', id]))
		} catch (p) {
			setProblem(p instanceof Problem ? p : new Problem({ title: String(p) }))
			setBusy(false)
		}
	}
	return (
		<Dialog open close={close} title={`${t.trigger} ${w.name}`}>
			<form onSubmit={e => void act(e)}>
				{(w.params ?? []).map((p, i) => <Field key={p.name} p={p} first={i === 0} value={conf[p.name] ?? ''} set={v => setConf({ ...conf, [p.name]: v })} />)}
				<label>{t.note}<input value={note} onInput={e => setNote(e.currentTarget.value)} /></label>
				{problem && <Fault problem={problem} />}
				<p class="buttons"><button type="submit" class="main" disabled={busy}>{t.trigger}</button> <button type="button" onClick={close}>{t.cancel}</button></p>
			</form>
		</Dialog>
	)
}

function Field({ p, value, set: put, first }: { p: Param; value: string; set: (v: string) => void; first: boolean }) {
	const label = <>{p.name} <span class="dim">{p.type}{p.description ? ` · ${p.description}` : ''}</span></>
	const common = { autofocus: first, required: p.default === null }
	const options = p.enum ?? (p.type === 'boolean' || p.type === 'bool' ? ['true', 'false'] : null)
	if (options) return <label>{label}<select {...common} value={value} onChange={e => put(e.currentTarget.value)}><option value="">{p.default ?? '–'}</option>{options.map(o => <option key={o}>{o}</option>)}</select></label>
	const number = p.type === 'integer' || p.type === 'number' || p.type === 'int' || p.type === 'float'
	if (number) return <label>{label}<input {...common} type="number" step={p.type.startsWith('int') ? 1 : 'any'} {...(p.minimum === undefined ? {} : { min: p.minimum })} {...(p.maximum === undefined ? {} : { max: p.maximum })} value={value} placeholder={p.default ?? ''} onInput={e => put(e.currentTarget.value)} /></label>
	return <label>{label}<input {...common} type="text" value={value} placeholder={p.default ?? ''} onInput={e => put(e.currentTarget.value)} /></label>
}
