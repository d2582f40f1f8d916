// What happened, what caused it? Topics, their records, one event with its causes, one stream.
import { useMemo, useState } from 'preact/hooks'
import { ask, exact, Problem, segment, then, url, useGet } from '../api'
import { count, time } from '../format'
import { Copy, Cut, Fact, Facts, Id, Json, Position, Stream, Tabs, Time, Title } from '../parts/bits'
import { type Answer, type Compared, Moments, only, rowsMost } from '../parts/moments'
import type { Column } from '../parts/table'
import { Empty, Fault, News, Shown } from '../parts/states'
import { place, set, to } from '../router'
import { t } from '../text'
import type { Chain, Link, LogRecord, Page, Topic } from '../types'
import { Dead } from './deadletters'
import { Groups } from './groups'
import { Quarantine } from './quarantine'
import { Browser } from './records'

export function Events() {
	const s = place.value.segments
	if (s[1] === 'streams') return <StreamPage name={s.slice(2).join('/')} />
	if (s.length === 3) return <EventPage of={`${s[1]}/${s[2]}`} />
	if (s.length === 2 && s[1] !== undefined) return /^[0-9a-f-]{30,40}$/.test(s[1]) || s[1].includes('@') ? <EventPage of={s[1]} /> : <Browser topic={s[1]} />
	return <Topics />
}

const above = () => <a href={to(['events'])}>{t.events}</a>

function Topics() {
	const tab = place.value.params.get('tab') ?? ''
	return (
		<>
			<Title>{t.events}</Title>
			<Tabs all={[['', t.topics], ['groups', t.groups], ['dead', t.deadLetters], ['quarantine', t.quarantine]]} now={tab} href={id => to(['events'], { tab: id })} />
			<Moments {...comparedOf(tab)} />
			{tab === 'dead' ? <Dead /> : tab === 'groups' ? <Groups /> : tab === 'quarantine' ? <Quarantine /> : <TopicList />}
		</>
	)
}

// comparedOf is what of a tab is held against another moment.
function comparedOf(tab: string): { of: Compared[]; prefix?: string | string[]; note?: string } {
	if (tab === 'groups') return { of: [], note: t.groupsAreNow }
	if (tab === 'dead') return { of: [{ path: url('/api/v1/dead-letters', { state: place.value.params.get('state'), limit: rowsMost }), views: ['dead_letters'], id: d => d.dead_letter_id, shows: only('state', 'reactor', 'error', 'attempts', 'resolved_reason', 'resolved_by') }], prefix: 'dead-letter/' }
	if (tab === 'quarantine') return { of: [{ path: url('/api/v1/quarantine', { limit: rowsMost }), views: ['quarantine'], id: q => q.position, shows: q => ({ ...only('state', 'reason', 'refused')(q), ...(q.decision ? { decision: only('reason', 'by', 'actor')(q.decision as Answer) } : {}) }) }], prefix: ['refusal/', 'quarantine/'] }
	return { of: [{ path: '/api/v1/log/topics', id: k => k.topic, shows: only('records', 'partitions') }] }
}

function TopicList() {
	const got = useGet<Page<Topic>>(then('/api/v1/log/topics'), { views: ['log'] })
	return (
		<Shown got={got}>{p => (
			<div class="scroll-x" tabIndex={0} role="group" aria-label={t.topics}>
				<table><thead><tr><th>{t.topic}</th><th class="num">{t.records}</th><th class="num">{t.partitions}</th><th>{t.offsets}</th></tr></thead>
					<tbody>{p.items.map(k => <tr key={k.topic}><td><a href={to(['events', k.topic])}>{k.topic}</a>{k.relay && <span class={k.relay.error ? 'bad' : 'dim'}> {t.relay} {count(k.relay.copied)} (−{count(k.relay.behind)}) <Cut text={k.relay.error} /></span>}</td><td class="num">{count(k.records)}</td><td class="num">{k.partitions.length}</td><td class="mono">{k.partitions.map(q => `${q.partition}: ${q.first_offset}…${q.next_offset}`).join('  ')}</td></tr>)}</tbody>
				</table>
			</div>
		)}</Shown>
	)
}

// The event at a position, or of an id. A commit of the ledger may hold several.
function EventPage({ of }: { of: string }) {
	const at = /^(.+)\/(\d+)@(\d+)$/.exec(of)
	const chain = useGet<Chain>(then('/api/v1/audit/chain', { of }))
	const asked = chain.data ? found(chain.data.root) : undefined
	const position = at ? of : asked?.position ?? ''
	const p = /^(.+)\/(\d+)@(\d+)$/.exec(position)
	const records = useGet<Page<LogRecord>>(p ? then(`/api/v1/log/topics/${segment(p[1] ?? '')}/records`, { partition: p[2], from: p[3], limit: 50, order: 'asc' }) : null, { as: exact })
	const here = records.data?.items.filter(r => r.position === position)
	const before = p && Number(p[3]) > 0 ? to(['events', p[1] ?? '', `${p[2]}@${Number(p[3]) - 1}`]) : null
	const after = records.data?.items.find(r => r.position !== position)?.position
	return (
		<>
			<Title of={<>{above()} / {p && <a href={to(['events', p[1] ?? ''])}>{p[1]}</a>}</>} side={<span class="buttons">{before && <a class="button" href={before}>← {t.before}</a>}{after && <a class="button" href={to(['events', ...after.split('/')])}>{t.after} →</a>}</span>}>
				{here?.[0]?.type ?? of}
			</Title>
			<Moments of={[{ name: t.causation, path: url('/api/v1/audit/chain', { of }), items: c => linksOf(c.root), id: l => l.event_id || l.position, more: c => c.truncated === true, shows: only('type', 'stream', 'summary', 'actor') }]} note={t.recordsAreFixed} />
			{!p && chain.problem && <Fault problem={chain.problem} again={chain.again} />}
			{p && <Shown got={records}>{() => here && here.length > 0
				? here.map((r, i) => <Record key={r.event_id ?? i} r={r} open={!asked || r.event_id === asked.event_id || here.length === 1} />)
				: <Empty why={t.noRecord} />}</Shown>}
			<section><h2>{t.causation}</h2>
				{chain.problem && p ? (chain.problem.status === 404 ? <p class="dim">{t.noCausation}</p> : <Fault problem={chain.problem} again={chain.again} />) : <Shown got={chain}>{c => <><ul class="tree" role="tree" aria-label={t.causation}><Branch l={c.root} level={1} /></ul>{(c.left_out ?? 0) > 0 && <p class="dim">{t.leftOut(c.left_out ?? 0)}</p>}{c.truncated && <p class="warn">{t.truncated(c.events)}</p>}</>}</Shown>}
			</section>
		</>
	)
}

function found(l: Link): Link | undefined {
	if (l.asked) return l
	for (const n of l.then ?? []) {
		const f = found(n)
		if (f) return f
	}
	return undefined
}

// linksOf are the events of a chain, in its order.
const linksOf = (l: Answer | undefined): Answer[] => (l ? [l, ...((l.then ?? []) as Answer[]).flatMap(linksOf)] : [])

function Branch({ l, level }: { l: Link; level: number }) {
	return (
		<li role="treeitem" aria-level={level} aria-selected={l.asked ?? false} aria-expanded={l.then ? true : undefined}>
			<div class={l.asked ? 'branch asked' : 'branch'}><a class="type" href={to(['events', ...(l.position ? l.position.split('/') : [l.event_id])])}>{l.type || l.event_id}</a><Cut text={l.summary} /><span class="dim from">{l.stream && <Stream name={l.stream} />} {l.actor} <Time at={l.recorded_millis || l.event_millis} /></span></div>
			{l.then && <ul role="group">{l.then.map(n => <Branch key={n.event_id} l={n} level={level + 1} />)}</ul>}
		</li>
	)
}

export function Record({ r, open }: { r: LogRecord; open: boolean }) {
	return (
		<article class="record">
			<Facts>
				<Fact name={t.position}><Position at={r.position} /></Fact>
				{r.stream && <Fact name={t.stream}><Stream name={r.stream} /> <span class="dim">@{r.revision}</span></Fact>}
				{r.subject && <Fact name={t.subject}>{r.subject}</Fact>}
				<Fact name={t.recordedTime}><Time at={r.recorded} short={false} /></Fact>
				<Fact name={t.eventTime}><Time at={r.time} short={false} /></Fact>
				{r.actor && <Fact name={t.actor}>{r.actor}</Fact>}
				{r.event_id && <Fact name={t.eventId}><span class="mono">{r.event_id}</span></Fact>}
				{r.cause && <Fact name={t.cause}><Id id={r.cause} href={to(['events', r.cause])} /></Fact>}
				{r.correlation && <Fact name={t.correlation}><span class="mono">{r.correlation}</span></Fact>}
				{r.source && <Fact name={t.source}>{r.source}</Fact>}
				{r.key && <Fact name={t.key}><span class="mono">{r.key}</span></Fact>}
			</Facts>
			{r.error && <p class="bad" role="alert">{t.unreadable}: {r.error}</p>}
			<details open={open}><summary>{r.type ?? t.value} </summary><Json value={r.data ?? r.value} /></details>
		</article>
	)
}

// changesOf is what live changes call a stream of the ledger by: its kind's resource and its id. A model has its name there, and not its key.
function changesOf(stream: string): { views: string[]; id?: string } {
	const [kind = '', ...rest] = stream.split('/')
	const odd: Record<string, string> = { artifacts: 'artifacts', features: 'features', signals: 'signals', refusal: 'quarantine' }
	const view = odd[kind] ?? (kind.startsWith('feature-') ? 'features' : `${kind.replaceAll('-', '_')}s`)
	return { views: [view, kind.replaceAll('-', '_')], ...(kind === 'model' ? {} : { id: rest.join('/') }) }
}

// A stream from its first event to its last.
function StreamPage({ name }: { name: string }) {
	const path = `/api/v1/log/streams/${name.split('/').map(segment).join('/')}`
	const got = useGet<Page<LogRecord>>(then(path, { limit: 200 }), { as: exact, ...changesOf(name), hold: true })
	const [more, setMore] = useState<{ for: unknown; items: LogRecord[]; next: string | undefined } | null>(null)
	const [problem, setProblem] = useState<Problem | null>(null)
	const extra = more && more.for === got.data ? more : null
	const next = extra ? extra.next : got.data?.next_cursor
	const rows = useMemo(() => [...(got.data?.items ?? []), ...(extra?.items ?? [])], [got.data, extra])
	const load = async () => {
		try {
			const p = await ask<Page<LogRecord>>(then(path, { limit: 200, cursor: next }), undefined, exact)
			setMore({ for: got.data, items: [...(extra?.items ?? []), ...p.items], next: p.next_cursor })
		} catch (e) {
			setProblem(e instanceof Problem ? e : new Problem({ title: String(e) }))
		}
	}
	const at = place.value.params.get('at')
	return (
		<>
			<Title of={above()} side={<Copy text={name} />}>{name}</Title>
			<News n={got.news} show={got.again} />
			<Moments of={[{ path: url(path, { limit: rowsMost }), views: changesOf(name).views, id: r => `${r.revision} ${r.type ?? ''}`, shows: r => ({ ...only('position', 'actor', 'error')(r), ...(r.data ?? {}) }) }]} stream={name} />
			<Shown got={got}>{() => (
				<ol class="stream">{rows.map(r => (
					<li key={`${r.position}.${r.revision}`}>
						<details open={at === String(r.revision)} onToggle={e => { if (e.currentTarget.open) set({ at: r.revision ?? 0 }, true) }}><summary><span class="mono dim">{r.revision}</span> <b>{r.type}</b> <Time at={r.recorded} /> <span class="dim">{r.actor}</span></summary>
							<p><Position at={r.position} /> {r.event_id && <a href={to(['events', r.event_id])}>{t.causation}</a>}</p>{r.error && <p class="bad">{r.error}</p>}<Json value={r.data ?? r.value} /></details>
					</li>
				))}</ol>
			)}</Shown>
			{problem && <Fault problem={problem} />}
			{next && <p><button type="button" onClick={() => void load()}>{t.more}</button></p>}
		</>
	)
}

export const columnsOf = (): Column<LogRecord>[] => [
	{ id: 'recorded', head: t.recordedTime, width: '172px', cell: r => <span class="mono">{time(Date.parse(r.recorded)).slice(0, 23)}</span>, line: 2 },
	{ id: 'position', head: t.position, width: 'minmax(110px, 190px)', cell: r => <a class="mono" href={to(['events', ...r.position.split('/')])}>{r.position}</a>, line: 2 },
	{ id: 'type', head: t.type, width: 'minmax(120px, 220px)', cell: r => r.type ?? <span class="bad">{t.unreadable}</span>, line: 1 },
	{ id: 'stream', head: t.stream, width: 'minmax(80px, 1fr)', cell: r => r.stream ?? r.subject ?? r.key ?? '' },
	{ id: 'actor', head: t.actor, width: '110px', cell: r => r.actor ?? '' },
	{ id: 'data', head: t.value, width: 'minmax(160px, 3fr)', cell: r => <span class="mono dim">{r.error ?? brief(r.data ?? r.value)}</span>, line: 1 },
]

const brief = (v: unknown): string => (v === undefined ? '' : JSON.stringify(v, (_, x: unknown) => (x !== null && typeof x === 'object' && 'text' in x && Object.keys(x).length === 1 ? String(x) : x))?.slice(0, 400) ?? '')
