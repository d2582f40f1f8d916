// Can I trust it?
import { useState } from 'preact/hooks'
import { Problem, send, useGet } from '../api'
import { count } from '../format'
import { live as liveText } from '../parts/liveness'
import { Position, State, Title } from '../parts/bits'
import { Fault, Shown } from '../parts/states'
import { state as live } from '../live'
import { t } from '../text'
import { noCommands } from '../timebar'
import type { Page, Reactor, ViewStatus } from '../types'

export function System() {
	const views = useGet<Page<ViewStatus>>('/api/v1/views', { views: ['log'] })
	const reactors = useGet<{ reactors: Reactor[] }>('/api/v1/reactors', { views: ['workflow_runs'] })
	return (
		<>
			<Title>{t.system}</Title>
			{noCommands() && <p class="warn">{t.systemIsNow}</p>}
			<p>{liveText(live.value)}</p>
			<Verify />
			<section><h2>{t.views}</h2>
				<Shown got={views}>{p => (
					<div class="scroll-x" tabIndex={0} role="group" aria-label={t.views}><table><thead><tr><th>{t.view}</th><th>{t.state}</th><th class="num">{t.lag}</th><th class="num">{t.folded}</th><th>{t.cut}</th></tr></thead>
						<tbody>{p.items.map(v => <tr key={v.view} class={v.error ? 'halted' : ''}><td>{v.view}</td><td><State of={v.error ? 'halted' : v.lag_events > 0 ? 'lagging' : 'ready'} />{v.error && <p class="bad wrap">{v.error} {haltedAt(v.error) && <Position at={haltedAt(v.error)} />}</p>}</td><td class="num">{count(v.lag_events)}</td><td class="num">{count(v.inputs)}</td><td class="mono dim ellipsis" title={v.cut}>{v.cut}</td></tr>)}</tbody></table></div>
				)}</Shown>
			</section>
			<section><h2>{t.reactors}</h2>
				<Shown got={reactors}>{r => (
					<div class="scroll-x" tabIndex={0} role="group" aria-label={t.reactors}><table><thead><tr><th>{t.reactor}</th><th>{t.state}</th><th class="num">{t.lag}</th><th class="num">{t.handled}</th><th class="num">{t.failed}</th><th class="num">{t.deadLetters}</th></tr></thead>
						<tbody>{r.reactors.map(x => <tr key={x.reactor}><td>{x.reactor} {!x.here && <span class="dim">{t.elsewhere}</span>}</td><td>{x.error ? <><State of="failed" /> <span class="bad wrap">{x.error}</span></> : <State of={x.lag > 0 ? 'lagging' : 'ready'} />}</td><td class="num">{count(x.lag)}</td><td class="num">{count(x.handled_total)}</td><td class="num">{count(x.failed_total)}</td><td class="num">{count(x.dead_lettered_total)}</td></tr>)}</tbody></table></div>
				)}</Shown>
			</section>
		</>
	)
}

const haltedAt = (error: string): string => /halted at (\S+@\d+)/.exec(error)?.[1] ?? ''

interface Line { stage?: string; done?: number; total?: number; result?: { equal: boolean; views: { view: string; equal: boolean }[] }; equal?: boolean; views?: { view: string; equal: boolean; rows?: number }[]; error?: { detail: string } }

// Verify folds the whole log again beside what serves, and compares each byte. It goes on while this page is open.
function Verify() {
	const [at, setAt] = useState<Line | null>(null)
	const [problem, setProblem] = useState<Problem | null>(null)
	const [busy, setBusy] = useState(false)
	const off = noCommands()
	const act = async () => {
		setBusy(true)
		setProblem(null)
		setAt(null)
		try {
			const r = await send('/api/v1/ops/verify', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}' })
			const reader = r.body?.pipeThrough(new TextDecoderStream()).getReader()
			let rest = ''
			while (reader) {
				const { done, value } = await reader.read()
				const parts = (rest + (value ?? '')).split('\n')
				rest = parts.pop() ?? ''
				for (const p of parts) if (p !== '') setAt(JSON.parse(p) as Line)
				if (done) break
			}
		} catch (e) {
			setProblem(e instanceof Problem ? e : new Problem({ title: String(e) }))
		}
		setBusy(false)
	}
	const result = at?.result ?? (at?.views ? at : undefined)
	return (
		<section class="card"><h2>{t.verify}</h2><p>{t.verifyWhat}</p>
			<p><button type="button" class="main" disabled={busy || off !== ''} title={off} onClick={() => void act()}>{t.verify}</button> {busy && <><progress {...(at?.total ? { max: at.total, value: at.done ?? 0 } : {})} aria-label={t.verify} /> <span class="dim">{at?.stage} {at?.total ? `${count(at.done ?? 0)} / ${count(at.total)}` : ''}</span></>}</p>
			{problem && <Fault problem={problem} />}
			{at?.error && <p class="bad" role="alert">{at.error.detail}</p>}
			{result?.views && <p class={result.equal ? 'ok' : 'bad'} role="status">{result.equal ? t.verifyEqual(result.views.length) : t.verifyUnequal(result.views.filter(v => !v.equal).map(v => v.view).join(', '))}</p>}
		</section>
	)
}
