// Ctrl+K: anything by its id or by words of its name.
import { signal } from '@preact/signals'
import { useEffect, useState } from 'preact/hooks'
import { ask, Problem, url } from './api'
import { Dialog } from './keys'
import { go, knownAt, to } from './router'
import { t } from './text'

interface Found { kind: string; id: string; title: string; detail?: string }
export const finding = signal(false)

// addressOf is the page of what was found, if there is one.
function addressOf(f: Found): string | null {
	switch (f.kind) {
		case 'run': return to(['runs', f.id])
		case 'experiment': return to(['runs'], { experiment: f.id })
		case 'model': return to(['models', f.id])
		case 'version': return to(['models', ...f.id.split('/')])
		case 'workflow': return to(['workflows', f.id])
		case 'workflow_run': return to(['workflows', 'runs', f.id])
		case 'event': return to(['events', ...(f.detail && !f.detail.startsWith('mlops-events/') ? f.detail.split('/') : [f.id])]) // a fact is known by its position
		case 'stream': return to(['events', 'streams', ...f.id.split('/')])
		case 'topic': return to(['events', f.id])
		case 'user': return to(['people', f.id])
		case 'movie': return to(['films', f.id])
		case 'dataset': return to(['events', 'streams', 'dataset', f.id])
		case 'feature_view': return to(['features', f.id])
		case 'training_set': return to(['events', 'streams', 'training-set', f.id])
		default: return null
	}
}

export function Find({ pages }: { pages: [string, string][] }) {
	const [text, setText] = useState('')
	const [items, setItems] = useState<Found[]>([])
	const [problem, setProblem] = useState('')
	const [at, setAt] = useState(0)
	const open = finding.value
	useEffect(() => {
		setAt(0)
		const abort = new AbortController()
		if (!open || text.trim() === '') {
			setItems([])
			setProblem('')
			return
		}
		const timer = setTimeout(() => {
			ask<{ items: Found[] }>(url('/api/v1/find', { q: text.trim(), k: 20, known_at: knownAt.peek() }), abort.signal).then(
				a => { setItems(a.items); setProblem('') },
				(e: unknown) => { if (!abort.signal.aborted) { setItems([]); setProblem(e instanceof Problem ? e.detail || t.offline : String(e)) } },
			)
		}, 120)
		return () => { clearTimeout(timer); abort.abort() }
	}, [text, open])
	useEffect(() => { if (!open) setText('') }, [open])
	const own = pages.filter(([, name]) => text.trim() !== '' && name.toLowerCase().includes(text.trim().toLowerCase())).map(([id, name]) => ({ key: `page ${id}`, kind: t.page, title: name, detail: '', href: to(id === '' ? [] : [id]) }))
	const all = [...own, ...items.map(f => ({ key: `${f.kind} ${f.id}`, kind: t.kind(f.kind), title: f.title || f.id, detail: f.detail ?? '', href: addressOf(f) }))].filter((o): o is typeof o & { href: string } => o.href !== null)
	const close = () => { finding.value = false }
	const take = (i: number) => {
		const o = all[i]
		if (!o) return
		close()
		go(o.href)
	}
	const onKey = (e: KeyboardEvent) => {
		if (e.isComposing) return // the Enter is the composition's
		if (e.key === 'ArrowDown') setAt(Math.min(all.length - 1, at + 1))
		else if (e.key === 'ArrowUp') setAt(Math.max(0, at - 1))
		else if (e.key === 'Enter') take(at)
		else return
		e.preventDefault()
	}
	return (
		<Dialog open={open} close={close} title={t.find}>
			<input autofocus role="combobox" aria-expanded={all.length > 0} aria-controls="found" aria-activedescendant={all[at] ? `found-${at}` : undefined} aria-label={t.find} placeholder={t.findWhat} value={text} onInput={e => setText(e.currentTarget.value)} onKeyDown={onKey} />
			<ul id="found" role="listbox" aria-label={t.find} class="found">
				{all.map((o, i) => <li key={o.key} id={`found-${i}`} role="option" aria-selected={i === at} onClick={() => take(i)}><span class="dim">{o.kind}</span><b>{o.title}</b><span class="dim">{o.detail}</span></li>)}
			</ul>
			{problem ? <p class="bad" role="alert">{problem}</p> : text.trim() !== '' && all.length === 0 && <p class="dim">{t.nothingFound}</p>}
		</Dialog>
	)
}
