// What is changed of a model version here: whether it serves, its stage, and the aliases that point at it. Each is asked once, on the state that was read: as it
// stood here when the dialog was opened.
import { useRef, useState } from 'preact/hooks'
import { command, Problem, segment } from '../api'
import { announce, Dialog } from '../keys'
import { State } from '../parts/bits'
import { Fault } from '../parts/states'
import { t } from '../text'
import { noCommands } from '../timebar'
import type { Deployment, Model, ModelVersion } from '../types'

const stages = ['None', 'Staging', 'Production', 'Archived']

// instead is what a command says that production serves, as it was read.
export const instead = (now: Deployment | undefined): string => now?.position ?? 'none'

// Read is a version, its model and what production serves, of one reading of the page.
export interface Read { v: ModelVersion; m: Model; now: Deployment | undefined }

export function Changes({ name, look, ...read }: Read & { name: string; look: () => void }) {
	const { v, m } = read
	const [asking, setAsking] = useState<(Read & { alias?: string; remove?: boolean }) | null>(null)
	const off = noCommands()
	const mine = Object.entries(m.aliases ?? {}).filter(([, n]) => n === v.version).map(([a]) => a).sort()
	const close = () => setAsking(null)
	const over = () => {
		close()
		look()
	}
	return (
		<section><h2>{t.stage}, {t.aliases}</h2>
			<p class="buttons"><State of={v.stage} /> <span class="dim wrap">{v.stage_reason}</span> <button type="button" data-focus="stage" disabled={off !== ''} title={off} onClick={() => setAsking(read)}>{t.moveStage}…</button></p>
			<p class="buttons">{mine.length === 0 && <span class="dim">{t.noAliases}</span>}{mine.map(a => <span key={a} class="pair">@{a}<button type="button" class="quiet" data-focus={`alias-${a}`} disabled={off !== ''} title={off || t.removeAlias(a)} aria-label={t.removeAlias(a)} onClick={() => setAsking({ ...read, alias: a, remove: true })}>✕</button></span>)} <button type="button" data-focus="alias" disabled={off !== ''} title={off} onClick={() => setAsking({ ...read, alias: '' })}>{t.setAlias}…</button></p>
			{asking && asking.alias === undefined && <Stage name={name} read={asking} close={close} done={over} look={look} />}
			{asking?.alias !== undefined && <Alias name={name} read={asking} alias={asking.alias} remove={asking.remove ?? false} close={close} done={over} look={look} />}
		</section>
	)
}

// useAct does a command once on the model as it was read. Where that is refused, the page looks again behind the dialog.
function useAct(m: Model, said: string, done: () => void, look: () => void) {
	const [busy, setBusy] = useState(false)
	const [problem, setProblem] = useState<Problem | null>(null)
	const sent = useRef({ what: '', key: '' }) // what is asked again as it was has the same key
	const act = async (e: Event, method: string, path: string, body: unknown) => {
		e.preventDefault()
		if (busy) return
		const what = method + path + JSON.stringify(body)
		if (sent.current.what !== what) sent.current = { what, key: crypto.randomUUID?.() ?? String(Math.random()) }
		setBusy(true)
		setProblem(null)
		try {
			await command(method, path, body, { key: sent.current.key, revision: m.revision })
			announce(said)
			done()
		} catch (p) {
			setProblem(p instanceof Problem ? p : new Problem({ title: String(p) }))
			setBusy(false)
			look()
		}
	}
	return { act, faults: problem && <Fault problem={problem} />, off: busy }
}

// Deploy has a version serve production, instead of what served it as it was read.
export function Deploy({ name, read: { v, m, now: was }, close, done, look }: { name: string; read: Read; close: () => void; done: () => void; look: () => void }) {
	const [reason, setReason] = useState('')
	const a = useAct(m, t.deployed(name, v.version), done, look)
	return (
		<Dialog open close={close} title={t.deployVersion(name, v.version)}>
			<form onSubmit={e => void a.act(e, 'POST', `/api/v1/models/${segment(name)}/versions/${v.version}/deploy`, { reason, instead_of: instead(was) })}>
				<p>{was ? t.deployInstead(`${was.model} ${was.version}`, `${name} ${v.version}`) : t.deployFirst(`${name} ${v.version}`)}</p>
				<label>{t.reason}<input value={reason} onInput={e => setReason(e.currentTarget.value)} autofocus /></label>
				{a.faults}
				<p class="buttons"><button type="submit" class="main" disabled={a.off}>{t.deployVersion(name, v.version)}</button> <button type="button" onClick={close}>{t.cancel}</button></p>
			</form>
		</Dialog>
	)
}

function Stage({ name, read: { v, m, now: was }, close, done, look }: { name: string; read: Read; close: () => void; done: () => void; look: () => void }) {
	const [stage, setStage] = useState(stages.find(s => s !== v.stage && s === 'Staging') ?? 'None')
	const [archive, setArchive] = useState(false)
	const [reason, setReason] = useState('')
	const a = useAct(m, `${name} ${v.version}: ${stage}`, done, look)
	const serves = stage === 'Production' && v.slot === 'production'
	return (
		<Dialog open close={close} title={t.moveTo(`${name} ${v.version}`, stage)}>
			<form onSubmit={e => void a.act(e, 'POST', `/api/v1/models/${segment(name)}/versions/${v.version}/stage`, { stage, reason, archive_existing: archive, ...(serves ? { instead_of: instead(was) } : {}) })}>
				<label>{t.stage}<select value={stage} autofocus onChange={e => setStage(e.currentTarget.value)}>{stages.map(s => <option key={s} disabled={s === v.stage}>{s}</option>)}</select></label>
				<p>{v.stage} → {stage}. {serves ? was ? t.deployInstead(`${was.model} ${was.version}`, `${name} ${v.version}`) : t.deployFirst(`${name} ${v.version}`) : t.servesNothingNew}</p>
				<label class="check"><input type="checkbox" checked={archive} onChange={e => setArchive(e.currentTarget.checked)} /> {t.archiveOthers(stage)}</label>
				<label>{t.reason}<input value={reason} onInput={e => setReason(e.currentTarget.value)} /></label>
				{a.faults}
				<p class="buttons"><button type="submit" class="main" disabled={a.off || stage === v.stage}>{t.moveTo(`${name} ${v.version}`, stage)}</button> <button type="button" onClick={close}>{t.cancel}</button></p>
			</form>
		</Dialog>
	)
}

function Alias({ name, read: { v, m, now: was }, alias, remove, close, done, look }: { name: string; read: Read; alias: string; remove: boolean; close: () => void; done: () => void; look: () => void }) {
	const [given, setGiven] = useState(alias)
	const a = useAct(m, `@${given} ${remove ? '–' : v.version}`, done, look)
	const path = `/api/v1/models/${segment(name)}/aliases/${segment(given)}`
	const points = Object.hasOwn(m.aliases ?? {}, given) ? m.aliases?.[given] : undefined
	const serves = given === 'champion' && v.slot === 'production'
	return (
		<Dialog open close={close} title={remove ? t.removeAlias(given) : `${t.setAlias}: ${name} ${v.version}`}>
			<form onSubmit={e => void a.act(e, remove ? 'DELETE' : 'PUT', path, remove ? {} : { version: v.version, ...(serves ? { instead_of: instead(was) } : {}) })}>
				{remove ? <p>@{given} → {v.version}. {t.aliasGone}</p> : (
					<>
						<label>{t.alias}<input value={given} required autofocus maxLength={255} onInput={e => setGiven(e.currentTarget.value)} /></label>
						<p>{given !== '' && <>@{given}: {points === undefined ? t.none : points} → {v.version}. </>}{serves ? was ? t.deployInstead(`${was.model} ${was.version}`, `${name} ${v.version}`) : t.deployFirst(`${name} ${v.version}`) : ''}</p>
					</>
				)}
				{a.faults}
				<p class="buttons"><button type="submit" class="main" disabled={a.off || given === ''}>{remove ? t.removeAlias(given) : t.setAlias}</button> <button type="button" onClick={close}>{t.cancel}</button></p>
			</form>
		</Dialog>
	)
}
