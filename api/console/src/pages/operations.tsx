// Long work: it goes on when this page is closed, and is found again here.
import { useEffect, useState } from 'preact/hooks'
import { command, type Got, Problem, segment, then, useGet } from '../api'
import { bytes, count, duration } from '../format'
import { Confirm } from '../confirm'
import { announce, Dialog } from '../keys'
import { Cut, Fact, Facts, Id, Json, State, Stream, Time, Title } from '../parts/bits'
import { Empty, Fault, News, Shown } from '../parts/states'
import { knownAt, place, set, to } from '../router'
import { t } from '../text'
import { noCommands } from '../timebar'
import type { Operation, Page, ViewStatus } from '../types'

// useFollowed looks again while something is under way: its progress is no event.
function useFollowed<T>(got: Got<T>, going: (data: T) => boolean) {
	const follow = knownAt.value === '' && got.data !== undefined && going(got.data)
	useEffect(() => {
		if (!follow) return
		const timer = setInterval(() => { if (!document.hidden) got.again() }, 1000)
		return () => clearInterval(timer)
	}, [follow])
}

const page = (id: string) => to(['system', 'operations', id])

export function Operations() {
	const limit = Number(place.value.params.get('operations') ?? 20) || 20
	const got = useGet<Page<Operation>>(then('/api/v1/operations', { limit: Math.min(limit, 1000) }), { views: ['operations'] })
	const [asking, setAsking] = useState('')
	useFollowed(got, p => p.items.some(o => o.here))
	const off = noCommands()
	const begun = (o: Operation) => {
		setAsking('')
		announce(`${o.kind}: ${t.operationBegun}`)
		got.again()
	}
	return (
		<section><h2>{t.operations}</h2><p class="dim">{t.operationsWhat}</p>
			<p class="buttons">{(['verify', 'replay', 'backup', 'import'] as const).map(k => <button key={k} type="button" data-focus={`start-${k}`} class={k === 'verify' ? 'main' : ''} disabled={off !== ''} title={off || t.operationWhat(k)} onClick={() => setAsking(k)}>{t.operationKind(k)}…</button>)}</p>
			{off && <p class="dim">{off}</p>}
			<News n={got.news} show={got.again} />
			<Shown got={got} rows={3}>{p => p.items.length === 0 ? <Empty why={t.noOperations} /> : (
				<>
					<div class="scroll-x" tabIndex={0} role="group" aria-label={t.operations}><table><thead><tr><th>{t.operation}</th><th>{t.state}</th><th>{t.what}</th><th>{t.started}</th><th class="num">{t.duration}</th><th>{t.actor}</th></tr></thead>
						<tbody>{p.items.map(o => <tr key={o.operation_id} data-operation={o.operation_id}><td class="short"><a href={page(o.operation_id)}>{t.operationKind(o.kind)}</a></td><td><How o={o} cut /></td><td><div class="cut"><What o={o} /></div></td><td><Time at={o.started_millis} /></td><td class="num short">{o.ended_millis ? duration(o.ended_millis - o.started_millis) : ''}</td><td><Cut text={o.actor} /></td></tr>)}</tbody></table></div>
					{p.next_cursor && limit < 1000 && <p><button type="button" onClick={() => set({ operations: limit + 100 })}>{t.more}</button></p>}
				</>
			)}</Shown>
			{asking !== '' && <Start kind={asking} close={() => setAsking('')} begun={begun} />}
		</section>
	)
}

// unequal are the views that a verification has found to differ; null where it says nothing of them.
function unequal(o: Operation): string[] | null {
	const views = (o.result as { views?: { view: string; equal?: boolean }[] } | undefined)?.views
	return o.kind === 'verify' && views ? views.filter(v => v.equal === false).map(v => v.view) : null
}

// How an operation is, or how far.
function How({ o, cut }: { o: Operation; cut?: boolean }) {
	const differ = unequal(o)
	const another = o.kind === 'rebuild' && (o.result as { equal?: boolean } | undefined)?.equal === false
	return (
		<div class="how">
			<State of={another || (differ && differ.length > 0) ? 'failed' : o.state} />
			{o.here && o.progress && <div><progress {...(o.progress.total > 0 ? { max: o.progress.total, value: o.progress.done } : {})} aria-label={o.kind} /> <span class="dim">{o.progress.stage}{o.progress.done > 0 ? ` ${count(o.progress.done)}${o.progress.total > 0 ? ` / ${count(o.progress.total)}` : ''}` : ''}{o.progress.rate > 0 ? ` · ${count(o.progress.rate)}/s` : ''}</span></div>}
			{o.state === 'running' && o.here === false && <div class="dim wrap">{t.operationElsewhere(o.holder)}</div>}
			{o.state === 'interrupted' && <div class="dim">{t.operationInterrupted}</div>}
			{differ && <div class={differ.length === 0 ? 'ok' : 'bad'}>{differ.length === 0 ? t.verifyEqual((o.result as { views: unknown[] }).views.length) : t.verifyUnequal(differ.join(', '))}</div>}
			{another && <div class="bad">{t.rebuildUnequal}</div>}
			{o.error && (cut ? <div><Cut text={o.error} tone="bad" /></div> : <div class="bad wrap">{o.error}</div>)}
		</div>
	)
}

// What an operation was asked to do.
function What({ o }: { o: Operation }) {
	const r = (o.request ?? {}) as Record<string, string | number | Record<string, number> | undefined>
	if (o.kind === 'rebuild') return <a href={to(['models', String(r.model), String(r.version)])}>{String(r.model)} {String(r.version)}</a>
	if (o.kind === 'recommendations') return <a href={to(['try'], { user: String(r.user_id ?? ''), known_at: String(r.known_at ?? ''), as_of: String(r.as_of ?? ''), k: String(r.k ?? '') })}>{t.person} {String(r.user_id ?? '')} {String(r.known_at || r.as_of || '')}</a>
	if (o.kind === 'similar') return <a href={to(['films', String(r.movie_id)], { tab: 'similar', known_at: String(r.known_at) })}>{t.film} {String(r.movie_id)} {String(r.known_at)}</a>
	if (o.kind === 'import' && r.simulate) return <>{t.simulatedWorld} {Object.entries(r.simulate).filter(([, v]) => v).map(([k, v]) => `${k}=${v}`).join(' ')}</>
	return <>{Object.values(r).filter(v => typeof v !== 'object' && v !== undefined).map(String).join(' ') || (o.kind === 'replay' ? t.allViews : '')}</>
}

export function OperationPage({ id }: { id: string }) {
	const got = useGet<Operation>(then(`/api/v1/operations/${segment(id)}`), { views: ['operations'], id })
	const [cancelling, setCancelling] = useState(false)
	useFollowed(got, o => o.here ?? false)
	const off = noCommands()
	return (
		<Shown got={got} head={<Title of={<a href={to(['system'])}>{t.system}</a>}><Id id={id} /></Title>}>{o => (
			<>
				<Title of={<a href={to(['system'])}>{t.system}</a>} side={<>{o.state === 'running' && <button type="button" data-focus="cancel" disabled={off !== '' || !o.here} title={off || (o.here ? '' : t.operationElsewhere(o.holder))} onClick={() => setCancelling(true)}>{t.cancel}…</button>}<Stream name={`operation/${id}`} /></>}>{t.operationKind(o.kind)} <Id id={id} /></Title>
				<p>{t.operationWhat(o.kind)}</p>
				<div class="card" role="status"><How o={o} /></div>
				<Facts>
					<Fact name={t.started}><Time at={o.started_millis} /></Fact>{o.ended_millis ? <Fact name={t.ended}><Time at={o.ended_millis} /></Fact> : null}{o.ended_millis ? <Fact name={t.duration}>{duration(o.ended_millis - o.started_millis)}</Fact> : null}
					<Fact name={t.actor}>{o.actor ?? '–'}</Fact>{o.ended_by && o.ended_by !== o.actor ? <Fact name={t.endedBy}>{o.ended_by}</Fact> : null}<Fact name={t.process}><span class="mono">{o.holder}</span></Fact>
				</Facts>
				{o.request && <section><h2>{t.what}</h2><p class="wrap"><What o={o} /></p><Json value={o.request} /></section>}
				{o.state === 'success' && <section><h2>{t.result}</h2>{o.result === undefined ? <p class="dim">{t.resultLong(bytes(o.result_bytes ?? 0))}</p> : <Json value={o.result} />}</section>}
				{cancelling && <Confirm title={`${t.cancelOperation}: ${t.operationKind(o.kind)}`} does={t.cancelOperation} what={<p>{t.cancelOperationWhat}</p>} close={() => setCancelling(false)} done={got.again} look={got.again} act={(_, key) => command('POST', `/api/v1/operations/${segment(id)}/cancel`, {}, { key })} />}
			</>
		)}</Shown>
	)
}

const paths: Record<string, string> = { verify: '/api/v1/ops/verify', replay: '/api/v1/ops/replay', backup: '/api/v1/ops/backup', import: '/api/v1/imports' }

// Start asks with what, says what will happen, and begins it once, however often it is pressed.
function Start({ kind, close, begun }: { kind: string; close: () => void; begun: (o: Operation) => void }) {
	const views = useGet<Page<ViewStatus>>(kind === 'replay' ? '/api/v1/views' : null)
	const [values, setValues] = useState<Record<string, string>>(kind === 'import' ? { source: 'path' } : {})
	const [busy, setBusy] = useState(false)
	const [problem, setProblem] = useState<Problem | null>(null)
	const [key, setKey] = useState(() => crypto.randomUUID?.() ?? String(Math.random()))
	const put = (name: string, v: string) => {
		setValues({ ...values, [name]: v })
		setKey(crypto.randomUUID?.() ?? String(Math.random())) // it is another request
	}
	const text = (name: string, label: string, more: Record<string, unknown> = {}) => <label key={name}>{label}<input name={name} value={values[name] ?? ''} onInput={e => put(name, e.currentTarget.value)} {...more} /></label>
	const number = (name: string, label: string, placeholder: string) => text(name, label, { type: 'number', min: 0, placeholder })
	const body = (): unknown => {
		if (kind === 'replay') return values.view ? { view: values.view } : {}
		if (kind === 'backup') return { to: values.to }
		if (kind !== 'import') return {}
		if (values.source === 'path') return { path: values.path }
		return { simulate: Object.fromEntries(['users', 'movies', 'events', 'seed'].filter(n => values[n]).map(n => [n, Number(values[n])])) }
	}
	const act = async (e: Event) => {
		e.preventDefault()
		if (busy) return
		setBusy(true)
		setProblem(null)
		try {
			begun(await command<Operation>('POST', paths[kind] ?? '', body(), { key, goesOn: true }))
		} catch (p) {
			setProblem(p instanceof Problem ? p : new Problem({ title: String(p) }))
			setBusy(false)
		}
	}
	return (
		<Dialog open close={close} title={t.operationKind(kind)}>
			<form onSubmit={e => void act(e)}>
				<p>{t.operationWhat(kind)} {t.operationGoesOn}</p>
				{kind === 'replay' && <label>{t.view}<select value={values.view ?? ''} autofocus onChange={e => put('view', e.currentTarget.value)}><option value="">{t.allViews}</option>{views.data?.items.map(v => <option key={v.view}>{v.view}</option>)}</select></label>}
				{kind === 'backup' && text('to', t.newFolder, { required: true, autofocus: true, placeholder: '/backups/1' })}
				{kind === 'import' && <label>{t.source}<select value={values.source} autofocus onChange={e => put('source', e.currentTarget.value)}><option value="path">{t.dataSetPath}</option><option value="simulate">{t.simulatedWorld}</option></select></label>}
				{kind === 'import' && values.source === 'path' && text('path', t.pathThere, { required: true, placeholder: '/data/ml-latest-small' })}
				{kind === 'import' && values.source !== 'path' && [number('users', 'users', '400'), number('movies', 'movies', '400'), number('events', 'events', '20000'), number('seed', 'seed', '1')]}
				{problem && <Fault problem={problem} />}
				<p class="buttons"><button type="submit" class="main" disabled={busy}>{t.operationKind(kind)}</button> <button type="button" onClick={close}>{t.cancel}</button></p>
			</form>
		</Dialog>
	)
}
