// Files that are loaded when what they draw is first drawn.
import { useEffect, useState } from 'preact/hooks'
import { Problem } from './api'
import { boot } from './settings'

interface Files { layout: typeof import('./layout'); plot: typeof import('./plot') }

const had: Partial<Files> = {}

// useLater gives a file, once it is there, or why it did not come and how it is asked for again.
export function useLater<N extends keyof Files>(name: N): { file: Files[N] | undefined; problem: Problem | undefined; again: () => void } {
	const [asked, setAsked] = useState(0)
	const [problem, setProblem] = useState<Problem>()
	useEffect(() => {
		if (had[name]) return
		let gone = false
		setProblem(undefined)
		const at = asked === 0 ? boot[name] : `${boot[name]}&again=${asked}` // a browser does not ask again for a module that it could not load
		;(import(at) as Promise<Files[N]>).then(f => { had[name] = f as Files[typeof name] }, (e: unknown) => new Problem({ detail: String(e) })).then(p => {
			if (gone) return
			setProblem(p ?? undefined)
			if (!p) setAsked(n => n + 1)
		})
		return () => { gone = true }
	}, [name, asked])
	return { file: had[name] as Files[N] | undefined, problem, again: () => setAsked(asked + 1) }
}
