// Files that are loaded when what they draw is first drawn.
import { useEffect, useState } from 'preact/hooks'
import { Problem } from './api'
import { boot } from './settings'

interface Files { layout: typeof import('./layout'); plot: typeof import('./plot') }

const had: Partial<Files> = {}

// useLater gives a file, once it is there, or why it did not come and how it is asked for again.
export function useLater<N extends keyof Files>(name: N): { file: Files[N] | undefined; problem: Problem | undefined; again: () => void } {
	const [file, setFile] = useState<Files[N] | undefined>(had[name])
	const [problem, setProblem] = useState<Problem>()
	const [asked, setAsked] = useState(0)
	useEffect(() => {
		if (file) return
		let gone = false
		setProblem(undefined)
		const at = asked === 0 ? boot[name] : `${boot[name]}&again=${asked}` // a browser does not ask again for a module that it could not load
		;(import(at) as Promise<Files[N]>).then(
			f => { had[name] = f; if (!gone) setFile(f) },
			(e: unknown) => { if (!gone) setProblem(new Problem({ detail: String(e) })) },
		)
		return () => { gone = true }
	}, [asked])
	return { file, problem, again: () => setAsked(asked + 1) }
}
