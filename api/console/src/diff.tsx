// What differs between two values, in one form for runs, versions, definitions and moments.
import { Exact } from './exact'
import { t } from './text'

export interface Change { path: string; before: unknown; after: unknown; kind: 'added' | 'removed' | 'changed' | 'same' }

const plain = (v: unknown): v is Record<string, unknown> => v !== null && typeof v === 'object' && !(v instanceof Exact)
const same = (a: unknown, b: unknown) => (plain(a) || plain(b) ? JSON.stringify(a) === JSON.stringify(b) : String(a) === String(b) && typeof a === typeof b)

// diff lists changes by their paths, those of leaves.
export function diff(before: unknown, after: unknown, all = false, path = ''): Change[] {
	if (plain(before) && plain(after) && Array.isArray(before) === Array.isArray(after)) {
		const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])]
		return keys.flatMap(k => diff(before[k], after[k], all, path === '' ? k : `${path}.${k}`))
	}
	if (same(before, after)) return all && before !== undefined ? [{ path, before, after, kind: 'same' }] : []
	const kind = before === undefined ? 'added' : after === undefined ? 'removed' : 'changed'
	return [{ path, before, after, kind }]
}

const shown = (v: unknown): string => (v === undefined ? '' : plain(v) ? JSON.stringify(v) : String(v))

export function Diff({ changes, names }: { changes: Change[]; names: [string, string] }) {
	if (changes.length === 0) return <p class="dim">{t.noDifference}</p>
	return (
		<div class="scroll-x" tabIndex={0} role="group" aria-label={t.differences}>
			<table class="diff"><thead><tr><th>{t.field}</th><th>{names[0]}</th><th>{names[1]}</th></tr></thead>
				<tbody>{changes.map(c => <tr key={c.path} class={c.kind}><th scope="row" class="mono">{c.path}</th><td class="mono">{c.kind === 'added' ? <span class="dim">–</span> : shown(c.before)}</td><td class="mono">{c.kind === 'removed' ? <span class="dim">–</span> : shown(c.after)}</td></tr>)}</tbody>
			</table>
		</div>
	)
}
