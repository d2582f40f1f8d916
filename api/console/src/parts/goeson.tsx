// Long work that a page would wait for.
import { useEffect, useState } from 'preact/hooks'
import { command, Problem } from '../api'
import { to } from '../router'
import { t } from '../text'
import type { Operation } from '../types'
import { Fault } from './states'

// GoesOn offers, where the views of a moment take long, to have what is asked of them found as an operation, whether this page is there or not.
export function GoesOn({ path, body, detail }: { path: string; body: Record<string, string | number>; detail?: string | undefined }) {
	const [slow, setSlow] = useState(false)
	const [problem, setProblem] = useState<Problem | null>(null)
	const [begun, setBegun] = useState<Operation | null>(null)
	const [key] = useState(() => crypto.randomUUID?.() ?? String(Math.random()))
	useEffect(() => {
		const timer = setTimeout(() => setSlow(true), 1500)
		return () => clearTimeout(timer)
	}, [])
	const act = async () => {
		setProblem(null)
		try {
			setBegun(await command<Operation>('POST', path, body, { key, goesOn: true }))
		} catch (e) {
			setProblem(e instanceof Problem ? e : new Problem({ title: String(e) }))
		}
	}
	if (!slow && detail === undefined) return null
	return (
		<div class="card" role="status" data-folding="">{t.slowThen} {detail && <span class="dim">{detail} </span>}{begun ? <a href={to(['system', 'operations', begun.operation_id], { known_at: '' })}>{t.operation}: {t.operationBegun}</a> : <button type="button" onClick={() => void act()}>{t.goOnWithout}</button>}{problem && <Fault problem={problem} />}</div>
	)
}
