// Which lines of a text another has and has not.
import { t } from './text'

export interface Edit { kind: 'same' | 'added' | 'removed'; text: string }

const most = 4_000_000 // pairs of lines that are compared: of longer texts the middle is told as replaced

// lines is the shortest list of edits that makes one text of the other (Wagner and Fischer 1974), behind the beginning and before the end that both have.
export function lines(before: string, after: string): Edit[] {
	const [a, b] = [before.split('\n'), after.split('\n')]
	let head = 0
	while (head < a.length && head < b.length && a[head] === b[head]) head++
	let tail = 0
	while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++
	const [x, y] = [a.slice(head, a.length - tail), b.slice(head, b.length - tail)]
	const same = (all: string[]): Edit[] => all.map(text => ({ kind: 'same', text }))
	const removed = (all: string[]): Edit[] => all.map(text => ({ kind: 'removed', text }))
	const added = (all: string[]): Edit[] => all.map(text => ({ kind: 'added', text }))
	const middle: Edit[] = []
	if (x.length * y.length > most) middle.push(...removed(x), ...added(y))
	else {
		const wide = y.length + 1
		const common = new Uint32Array((x.length + 1) * wide) // lines that the rest of both have in common
		for (let i = x.length - 1; i >= 0; i--) for (let k = y.length - 1; k >= 0; k--) common[i * wide + k] = x[i] === y[k] ? (common[(i + 1) * wide + k + 1] ?? 0) + 1 : Math.max(common[(i + 1) * wide + k] ?? 0, common[i * wide + k + 1] ?? 0)
		let [i, k] = [0, 0]
		while (i < x.length && k < y.length) {
			if (x[i] === y[k]) {
				middle.push(...same([x[i] ?? '']))
				i++
				k++
			} else if ((common[(i + 1) * wide + k] ?? 0) >= (common[i * wide + k + 1] ?? 0)) middle.push(...removed([x[i++] ?? '']))
			else middle.push(...added([y[k++] ?? '']))
		}
		middle.push(...removed(x.slice(i)), ...added(y.slice(k)))
	}
	return [...same(a.slice(0, head)), ...middle, ...same(a.slice(a.length - tail))]
}

const around = 3 // lines that stand with a change

// Lines are edits with what is around them.
export function Lines({ edits }: { edits: Edit[] }) {
	if (edits.every(e => e.kind === 'same')) return <p class="dim">{t.noDifference}</p>
	const near = edits.map((_, i) => edits.slice(Math.max(0, i - around), i + around + 1).some(e => e.kind !== 'same'))
	return (
		<pre class="lines" tabIndex={0} role="group" aria-label={t.differences}>{edits.map((e, i) => near[i]
			? <span key={i} class={e.kind}>{{ same: '  ', added: '+ ', removed: '− ' }[e.kind]}{e.text}{'\n'}</span>
			: near[i - 1] ? <span key={i} class="dim">{'  ⋯\n'}</span> : null)}</pre>
	)
}
