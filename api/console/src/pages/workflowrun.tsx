// One run of a workflow: its tasks, what each took, what it said.
import { useEffect, useRef, useState } from 'preact/hooks'
import { command, Problem, segment, send, then, url, useGet } from '../api'
import { duration } from '../format'
import { Confirm } from '../confirm'
import { Copy, Fact, Facts, Parted, Position, State, Stream, Time, Title } from '../parts/bits'
import { Moments } from '../parts/moments'
import { Fault, Shown, Skeleton } from '../parts/states'
import { knownAt, place, set, to } from '../router'
import { t } from '../text'
import { noCommands } from '../timebar'
import type { Task, WorkflowRun } from '../types'

export function WorkflowRunPage({ id }: { id: string }) {
	const got = useGet<WorkflowRun>(then(`/api/v1/workflows/runs/${segment(id)}`), { views: ['workflow_runs'] })
	const off = noCommands()
	const [asking, setAsking] = useState<'cancel' | 'clear' | ''>('')
	const act = (what: string, body: unknown, key: string) => command('POST', `/api/v1/workflows/runs/${segment(id)}/${what}`, body, { key })
	return (
		<Shown got={got} head={<Title of={<a href={to(['workflows'])}>{t.workflows}</a>}>{id}</Title>}>{r => {
			const name = place.value.params.get('task') ?? r.tasks.find(k => k.state === 'failed')?.task ?? r.tasks.findLast(k => k.try > 0)?.task ?? ''
			const task = r.tasks.find(k => k.task === name)
			const over = r.state !== 'queued' && r.state !== 'running'
			return (
				<>
					<Title of={<><a href={to(['workflows'])}>{t.workflows}</a> / <a href={to(['workflows', r.workflow])}>{r.workflow}</a></>} side={<>
						{!over && <button type="button" disabled={off !== ''} title={off} data-focus="cancel" onClick={() => setAsking('cancel')}>{t.cancelRun}…</button>}
						{over && r.tasks.some(k => k.state === 'failed' || k.state === 'upstream_failed') && <button type="button" disabled={off !== ''} title={off} data-focus="clear" onClick={() => setAsking('clear')}>{t.clearFailed}…</button>}
						<Copy text={r.run_id} label={t.copyId} /></>}><span class="mono">{r.run_id}</span> <State of={r.state} /></Title>
					{r.reason && <p class={r.state === 'failed' ? 'bad prewrap' : 'dim'}>{r.reason}</p>}
					{off && <p class="dim">{off}</p>}
					<Moments of={[{ path: `/api/v1/workflows/runs/${segment(id)}`, views: ['workflow_runs'] }]} stream={`workflow-run/${id}`} />
					<Facts>
						<Fact name={t.requested}><Time at={r.requested_millis} /></Fact><Fact name={t.started}><Time at={r.started_millis} /></Fact>
						<Fact name={t.duration}>{r.ended_millis ? duration(r.ended_millis - (r.started_millis ?? r.requested_millis)) : '–'}</Fact>
						<Fact name={t.actor}>{r.actor ?? '–'}</Fact><Fact name={t.runType}>{r.run_type}</Fact><Fact name={t.stream}><Stream name={`workflow-run/${r.run_id}`} /></Fact>
						{r.triggered && <Fact name={t.triggeredBy}>{r.triggered.trigger}: {r.triggered.type} <Position at={r.triggered.position} /></Fact>}
						{r.note && <Fact name={t.note}>{r.note}</Fact>}
					</Facts>
					{Object.keys(r.conf ?? {}).length > 0 && <table class="pairs"><tbody>{Object.entries(r.conf ?? {}).sort().map(([k, v]) => <tr key={k}><th scope="row" class="mono">{k}</th><td class="wrap">{v}</td></tr>)}</tbody></table>}
					<section><h2>{t.tasks}</h2><Gantt r={r} now={name} /></section>
					{task && <TaskPanel run={r.run_id} task={task} over={over} />}
					{asking === 'cancel' && <Confirm title={t.cancelRun} does={t.cancelRun} what={<p>{t.cancelRunWhat}</p>} reason="welcome" close={() => setAsking('')} done={got.again} look={got.again} act={(reason, key) => act('cancel', { reason }, key)} />}
					{asking === 'clear' && <Confirm title={t.clearFailed} does={t.clearFailed} what={<p>{t.clearWhat(r.tasks.filter(k => k.state === 'failed' || k.state === 'upstream_failed').map(k => k.task).join(', '))}</p>} close={() => setAsking('')} done={got.again} look={got.again} act={(_, key) => act('clear', {}, key)} />}
				</>
			)
		}}</Shown>
	)
}

// Gantt is each task's tries along the run's time.
function Gantt({ r, now }: { r: WorkflowRun; now: string }) {
	const start = r.started_millis ?? r.requested_millis
	const end = Math.max(r.ended_millis ?? 0, start + 1, ...r.tasks.flatMap(k => (k.tries ?? []).map(y => y.ended_millis ?? 0)), ...(r.ended_millis ? [] : [Date.now()]))
	const part = (at: number) => `${(Math.max(0, at - start) / (end - start)) * 100}%`
	return (
		<ol class="gantt">{r.tasks.map(k => (
			<li key={k.task} class={k.task === now ? 'asked' : ''}>
				<a href={to(['workflows', 'runs', r.run_id], { task: k.task })} aria-current={k.task === now ? 'true' : undefined}>{k.task}</a><State of={k.state} />
				<span class="bars" aria-hidden="true">{(k.tries ?? []).map(y => <i key={y.try} class={y.state} style={{ left: part(y.started_millis), width: `max(3px, ${((y.ended_millis ?? end) - y.started_millis) / (end - start) * 100}%)` }} title={`${t.try_} ${y.try}: ${y.state} ${duration((y.ended_millis ?? end) - y.started_millis)}`} />)}</span>
				<span class="num dim">{k.started_millis ? duration((k.ended_millis ?? end) - k.started_millis) : ''}</span>
			</li>
		))}</ol>
	)
}

function TaskPanel({ run, task, over }: { run: string; task: Task; over: boolean }) {
	const chosen = Number(place.value.params.get('try') ?? task.try)
	return (
		<section class="card">
			<h2>{task.task} <State of={task.state} /></h2>
			{(task.tries?.length ?? 0) > 1 && <nav class="tabs" aria-label={t.tries}>{task.tries?.map(y => <button key={y.try} type="button" aria-pressed={y.try === chosen} onClick={() => set({ task: task.task, try: y.try === task.try ? '' : y.try })}>{y.try} <State of={y.state} bare /></button>)}</nav>}
			{task.error && <p class="bad prewrap">{task.error}</p>}
			{Object.keys(task.output ?? {}).length > 0 && <><h3>{t.outputs}</h3><table class="pairs"><tbody>{Object.entries(task.output ?? {}).sort().map(([k, v]) => <tr key={k}><th scope="row" class="mono"><Parted text={k} /></th><td class="mono wrap">{v}</td></tr>)}</tbody></table></>}
			{chosen > 0 && <Log key={`${task.task} ${chosen}`} path={url(`/api/v1/workflows/runs/${segment(run)}/tasks/${segment(task.task)}/logs`, { try: chosen, known_at: knownAt.value })} follow={!over && task.state === 'running' && chosen === task.try} name={`${task.task}-${chosen}.log`} />}
		</section>
	)
}

const lineHeight = 18

// Log shows the end of a text of any length first; of its lines those in sight are drawn.
function Log({ path, follow, name }: { path: string; follow: boolean; name: string }) {
	const [lines, setLines] = useState<string[] | null>(null)
	const [problem, setProblem] = useState<Problem | null>(null)
	const [top, setTop] = useState(0)
	const box = useRef<HTMLDivElement>(null)
	const atEnd = useRef(true)
	useEffect(() => {
		const abort = new AbortController()
		const read = async () => {
			const r = await send(follow ? url(path, { follow: true }) : path, { signal: abort.signal })
			const reader = r.body?.pipeThrough(new TextDecoderStream()).getReader()
			let rest = ''
			const all: string[] = []
			let drawn = 0
			while (reader) {
				const { done, value } = await reader.read()
				const parts = (rest + (value ?? '')).split('\n')
				rest = parts.pop() ?? ''
				for (const p of parts) all.push(p)
				if (done && rest !== '') all.push(rest)
				if (done || performance.now() - drawn > 100) {
					drawn = performance.now()
					setLines([...all])
				}
				if (done) return
			}
		}
		read().catch((e: unknown) => { if (!abort.signal.aborted) setProblem(e instanceof Problem ? e : new Problem({ title: String(e) })) })
		return () => abort.abort()
	}, [path, follow])
	useEffect(() => {
		const e = box.current
		if (e && atEnd.current) e.scrollTop = e.scrollHeight
	}, [lines])
	if (problem) return problem.status === 404 ? <p class="dim">{problem.detail}</p> : <Fault problem={problem} />
	if (!lines) return <Skeleton rows={4} />
	const first = Math.max(0, Math.floor(top / lineHeight) - 10)
	const shown = lines.slice(first, first + 60)
	return (
		<>
			<h3>{t.log} <span class="dim">{t.lines(lines.length)}</span> <a class="button quiet" href={path} download={name}>{t.download}</a></h3>
			<div class="log" ref={box} tabIndex={0} role="log" aria-label={t.log} aria-live="off" onScroll={e => { const b = e.currentTarget; setTop(b.scrollTop); atEnd.current = b.scrollTop + b.clientHeight >= b.scrollHeight - 4 }}>
				<div style={{ height: `${lines.length * lineHeight}px` }}><pre style={{ transform: `translateY(${first * lineHeight}px)` }}>{shown.join('\n')}</pre></div>
			</div>
		</>
	)
}
