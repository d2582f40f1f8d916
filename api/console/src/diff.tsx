// What differs between two values, in one form for runs, versions, definitions, lists and moments.
import { useState } from 'preact/hooks'
import { Exact } from './exact'
import { count, time } from './format'
import { Parted } from './parts/bits'
import { t } from './text'

export interface Change { path: string; before: unknown; after: unknown; kind: 'added' | 'removed' | 'changed' | 'same'; href?: string } // href is the page of what has changed

const plain = (v: unknown): v is Record<string, unknown> => v !== null && typeof v === 'object' && !(v instanceof Exact)
const same = (a: unknown, b: unknown) => (plain(a) || plain(b) ? JSON.stringify(a) === JSON.stringify(b) : String(a) === String(b) && typeof a === typeof b)

// Fields that things of an array are known by, where they all have one and no two the same.
const ids = ['version', 'task', 'try', 'run_id', 'path', 'slot', 'feature', 'event_id', 'partition', 'name', 'key']

// byId has what stands in two arrays under the ids of both; null where they have none.
function byId(a: unknown[], b: unknown[]): [Map<string, unknown>, Map<string, unknown>] | null {
	for (const id of ids) {
		const of = (list: unknown[]) => new Map(list.map(v => [plain(v) && (typeof v[id] === 'string' || typeof v[id] === 'number') ? String(v[id]) : '', v]))
		const [x, y] = [of(a), of(b)]
		if (a.length + b.length > 0 && x.size === a.length && y.size === b.length && !x.has('') && !y.has('')) return [x, y]
	}
	return null
}

const entries = (v: object) => new Map<string, unknown>(Object.entries(v))

// diff lists changes by their paths, those of leaves. What stands in arrays is known by its id, if it has one, and not by its place.
export function diff(before: unknown, after: unknown, all = false, path = ''): Change[] {
	if (plain(before) && plain(after) && Array.isArray(before) === Array.isArray(after)) {
		const [a, b] = (Array.isArray(before) && Array.isArray(after) && byId(before, after)) || [entries(before), entries(after)]
		return [...new Set([...a.keys(), ...b.keys()])].flatMap(k => diff(a.get(k), b.get(k), all, path === '' ? k : `${path}.${k}`))
	}
	if (same(before, after)) return all && before !== undefined ? [{ path, before, after, kind: 'same' }] : []
	const kind = before === undefined ? 'added' : after === undefined ? 'removed' : 'changed'
	return [{ path, before, after, kind }]
}

const empty = (v: unknown) => v === undefined || v === null || v === '' || (Array.isArray(v) && v.length === 0)

const isTime = /(^|[._])(millis|start_time|end_time)$/ // of fields, whose numbers are times

// shown is the value of a field as a line.
function shown(v: unknown, field: string): string {
	if (v === undefined) return ''
	if (!plain(v)) return typeof v === 'number' && v > 1e11 && isTime.test(field) ? time(v) : String(v)
	if (Array.isArray(v)) return v.map(x => shown(x, field)).join(', ')
	return Object.entries(v).filter(([, x]) => !empty(x)).map(([k, x]) => `${k} ${plain(x) ? `(${shown(x, k)})` : shown(x, k)}`).join(' · ')
}

const shownMost = 100 // rows, until more are wanted
const lettersMost = 2000 // of a value

function Value({ v, field }: { v: unknown; field: string }) {
	const text = shown(v, field)
	const cut = text.slice(0, lettersMost)
	return <div class="clamp" title={cut}>{cut}</div>
}

export function Diff({ changes, names }: { changes: Change[]; names: [string, string] }) {
	const [most, setMost] = useState(shownMost)
	if (changes.length === 0) return <p class="dim">{t.noDifference}</p>
	const n = (kind: Change['kind']) => changes.filter(c => c.kind === kind).length
	return (
		<>
			<div class="scroll-x" tabIndex={0} role="group" aria-label={t.differences}>
				<table class="diff"><thead><tr><th>{t.field}</th><th>{names[0]}</th><th>{names[1]}</th></tr></thead>
					<tbody>{changes.slice(0, most).map(c => <tr key={c.path} class={c.kind}><th scope="row" class="mono"><div class="clamp" title={c.path}>{c.href ? <a href={c.href}><Parted text={c.path} /></a> : <Parted text={c.path} />}</div></th><td class="mono">{c.kind === 'added' ? <span class="dim">–</span> : <Value v={c.before} field={c.path} />}</td><td class="mono">{c.kind === 'removed' ? <span class="dim">–</span> : <Value v={c.after} field={c.path} />}</td></tr>)}</tbody>
				</table>
			</div>
			{changes.length > 1 && <p class="dim">{t.diffCounts(count(n('added')), count(n('removed')), count(n('changed')))}{changes.length > most && <button type="button" class="quiet" onClick={() => setMost(most + 10 * shownMost)}>{t.more}</button>}</p>}
		</>
	)
}
