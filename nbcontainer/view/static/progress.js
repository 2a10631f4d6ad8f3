function o(t,e={},...n){let r=document.createElement(t);for(let[s,c]of Object.entries(e))typeof c=="function"?r.addEventListener(s.slice(2),c):c!==void 0&&c!==!1&&r.setAttribute(s,c===!0?"":String(c));return r.append(...n),r}function R(t,e,...n){let r=o("style");r.textContent=n.join(`
`);let s=o("div",{class:`nbc-view nbc-${e}`});return t.replaceChildren(r,s),s}var P=0,w=class{constructor(e,n){this.model=e;this.handle=n;this.hear=(r,s)=>this.receive(r,s??[])}page=`${Date.now().toString(36)}-${P+=1}`;hear;ready=!1;given=()=>this.handle({kind:"snapshot",data:this.model.get("snapshot")},[]);open(){window.addEventListener("pagehide",this.leave),this.model.on("msg:custom",this.hear),this.model.on("change:snapshot",this.given),this.given(),this.send({kind:"open"})}leave=()=>this.send({kind:"close"});receive(e,n){let r=e.kind==="snapshot"&&e.page&&e.page!==this.page;this.send({kind:"ack"}),!r&&(!this.ready&&e.kind!=="snapshot"||(this.ready=!0,this.handle(e,n)))}send(e,n){try{this.model.send({...e,page:this.page},void 0,n)}catch{}}close(){window.removeEventListener("pagehide",this.leave),this.model.off("msg:custom",this.hear),this.model.off("change:snapshot",this.given),this.send({kind:"close"})}};var L={waiting:"\u25CB",running:"",done:"\u2713",known:"\u2713",failed:"\u2715",stopped:"\u2013"},k={running:"Running",done:"Done",failed:"Failed",interrupted:"Interrupted"};function q(t){return[t.state,t.detail].filter(Boolean).join(", ")}function A(t,e){let n=e.name?`${e.verb} ${e.name}`:e.verb,r=s=>s?.entries.find(c=>"log"in c&&c.mood==="failed");if(e.state!=="running"&&t?.state!==e.state){let s=r(e);return`${n}: ${k[e.state].toLowerCase()}${s?` at ${s.title}`:""}${e.summary?`, ${e.summary}`:""}`}return t===void 0?`${n}: ${k[e.state].toLowerCase()}`:""}function W(t=document){let e=t.body.dataset.jpThemeLight;if(e==="true"||e==="false")return e==="true"?"light":"dark";let n=t.body.dataset.vscodeThemeKind;return n?n.includes("light")?"light":"dark":window.matchMedia?.("(prefers-color-scheme: dark)").matches?"dark":"light"}function H(t){let e,n=()=>{let c=W();c!==e&&t(e=c)};n();let r=new MutationObserver(n);r.observe(document.body,{attributes:!0,attributeFilter:["data-jp-theme-light","data-vscode-theme-kind"]});let s=window.matchMedia?.("(prefers-color-scheme: dark)");return s?.addEventListener("change",n),()=>{r.disconnect(),s?.removeEventListener("change",n)}}var C=`.nbc-view {
  --nbc-ground: #ffffff;
  --nbc-raised: #f5f7fa;
  --nbc-ink: #1c2430;
  --nbc-quiet: #5b6675;
  --nbc-line: #d9dfe7;
  --nbc-accent: #0067b1;
  --nbc-good: #12805c;
  --nbc-bad: #c0392b;
  --nbc-wait: #9a6700;
  --nbc-mono: var(--jp-code-font-family, ui-monospace, SFMono-Regular, Menlo, Consolas, monospace);
  background: var(--nbc-ground);
  border: 1px solid var(--nbc-line);
  border-radius: 8px;
  box-sizing: border-box;
  color: var(--nbc-ink);
  font: 13px/1.45 var(--jp-ui-font-family, system-ui, sans-serif);
  margin: 4px 0 8px;
  overflow: hidden;
  position: relative;
}
.nbc-view[data-mode="dark"] {
  --nbc-ground: #12161c;
  --nbc-raised: #1b2129;
  --nbc-ink: #e4e9f0;
  --nbc-quiet: #9aa6b5;
  --nbc-line: #2d3641;
  --nbc-accent: #6cb6ff;
  --nbc-good: #4cc38a;
  --nbc-bad: #ff8178;
  --nbc-wait: #e3b341;
}
.nbc-view *, .nbc-view *::before { box-sizing: border-box; }
.nbc-view .nbc-bar {
  align-items: center; background: var(--nbc-raised); border-bottom: 1px solid var(--nbc-line); display: flex;
  flex-wrap: wrap; gap: 6px 10px; min-height: 34px; padding: 3px 10px;
}
.nbc-view .nbc-name { font-weight: 600; }
.nbc-view .nbc-quiet { color: var(--nbc-quiet); }
.nbc-view .nbc-code { font-family: var(--nbc-mono); font-size: 12px; }
.nbc-view .nbc-space { flex: 1; }
.nbc-view button, .nbc-view select, .nbc-view input[type="search"] {
  background: var(--nbc-ground); border: 1px solid var(--nbc-line); border-radius: 5px; color: var(--nbc-ink);
  font: inherit; font-size: 12px; height: 26px; line-height: 1; margin: 0; padding: 0 9px;
}
.nbc-view button { cursor: pointer; }
.nbc-view button:hover { border-color: var(--nbc-quiet); }
.nbc-view button:disabled { cursor: default; opacity: .45; }
.nbc-view button[aria-pressed="true"] { background: var(--nbc-accent); border-color: var(--nbc-accent); color: var(--nbc-ground); }
.nbc-view :focus-visible { outline: 2px solid var(--nbc-accent); outline-offset: 1px; }
.nbc-view .nbc-dot {
  border: 1.5px solid currentColor; border-radius: 50%; display: inline-block; flex: none; height: 8px; width: 8px;
}
.nbc-view .nbc-dot.good { background: var(--nbc-good); border-color: var(--nbc-good); }
.nbc-view .nbc-dot.bad { background: var(--nbc-bad); border-color: var(--nbc-bad); border-radius: 1px; }
.nbc-view .nbc-dot.wait { background: var(--nbc-wait); border-color: var(--nbc-wait); }
.nbc-view .nbc-hidden {
  clip-path: inset(50%); height: 1px; overflow: hidden; position: absolute; white-space: nowrap; width: 1px;
}
`;var j=`.nbc-progress { container-type: inline-size; max-width: 900px; }
.nbc-progress > .nbc-bar { border-bottom: 0; flex-wrap: nowrap; }
.nbc-progress > .nbc-bar .nbc-code { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.nbc-progress .nbc-sum { font-variant-numeric: tabular-nums; white-space: nowrap; }
.nbc-progress .nbc-end { align-items: center; display: flex; gap: 6px; justify-content: flex-end; min-width: 84px; }
.nbc-progress .nbc-dot { color: var(--nbc-accent); }
.nbc-progress .nbc-dot.wait, .nbc-progress .nbc-dot.bad, .nbc-progress .nbc-dot.good { color: inherit; }
.nbc-progress .nbc-gauge { background: var(--nbc-line); border-radius: 3px; display: block; height: 6px; overflow: hidden; }
.nbc-progress .nbc-gauge i {
  background: var(--nbc-accent); display: block; height: 100%; transform: scaleX(0); transform-origin: left;
  transition: transform .12s linear;
}
.nbc-progress > .nbc-gauge { border-radius: 0; height: 2px; }
.nbc-progress > .nbc-gauge[hidden] { display: block; visibility: hidden; background: none; }
.nbc-progress[data-state="done"] > .nbc-gauge i { background: var(--nbc-good); }
.nbc-progress[data-state="interrupted"] .nbc-gauge i { background: var(--nbc-wait); }
.nbc-progress[data-state="failed"] .nbc-gauge i { background: var(--nbc-bad); }
.nbc-progress .nbc-list { padding: 6px 0; }
.nbc-progress .nbc-line { color: var(--nbc-quiet); line-height: 22px; min-height: 22px; overflow-wrap: anywhere; padding: 0 12px; }
.nbc-progress .nbc-row {
  align-items: center; display: grid; gap: 0 12px; grid-template-columns: 14px 12ch minmax(0, 1fr) minmax(60px, 190px) 19ch;
  height: 24px; padding: 0 12px;
}
.nbc-progress .nbc-row .nbc-code { font-size: 12px; }
.nbc-progress .nbc-bytes { color: var(--nbc-quiet); font-variant-numeric: tabular-nums; text-align: right; white-space: nowrap; }
.nbc-progress .nbc-state { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.nbc-progress [data-mood="known"] .nbc-state, .nbc-progress [data-mood="waiting"] .nbc-state { color: var(--nbc-quiet); }
.nbc-progress [data-mood="done"] .nbc-gauge i { background: var(--nbc-good); }
.nbc-progress [data-mood="known"] .nbc-gauge i { background: var(--nbc-quiet); }
.nbc-progress .nbc-mark { color: var(--nbc-quiet); flex: none; height: 14px; line-height: 14px; text-align: center; width: 14px; }
.nbc-progress [data-mood="done"] > .nbc-mark { color: var(--nbc-good); font-weight: 700; }
.nbc-progress [data-mood="failed"] > .nbc-mark { color: var(--nbc-bad); font-weight: 700; }
.nbc-progress [data-mood="stopped"] > .nbc-mark { color: var(--nbc-wait); font-weight: 700; }
.nbc-progress [data-mood="running"] > .nbc-mark::before {
  animation: nbc-turn 1s linear infinite; border: 2px solid var(--nbc-line); border-radius: 50%; border-top-color: var(--nbc-accent);
  content: ""; display: block; height: 12px; margin: 1px; width: 12px;
}
@keyframes nbc-turn { to { transform: rotate(360deg); } }
.nbc-progress button.nbc-fold {
  align-items: center; background: none; border: 0; border-radius: 0; display: flex; font-size: 13px; gap: 10px; height: 26px;
  padding: 0 12px; text-align: left; width: 100%;
}
.nbc-progress button.nbc-fold:disabled { cursor: default; opacity: 1; }
.nbc-progress button.nbc-fold:not(:disabled):hover { background: var(--nbc-raised); }
.nbc-progress button.nbc-fold:focus-visible { outline-offset: -2px; }
.nbc-progress .nbc-fold > .nbc-code:nth-child(2) { color: var(--nbc-quiet); flex: none; min-width: 3ch; }
.nbc-progress .nbc-what { flex: 0 1 auto; line-height: 1.5; min-width: 8ch; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.nbc-progress .nbc-tail { color: var(--nbc-quiet); flex: 1 100000 0; line-height: 1.5; min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.nbc-progress .nbc-tail:not(:empty) { min-width: 25%; }
.nbc-progress .nbc-fold .nbc-state { color: var(--nbc-quiet); flex: none; font-size: 11px; letter-spacing: .05em; }
.nbc-progress [data-mood="failed"] .nbc-state { color: var(--nbc-bad); font-weight: 600; }
.nbc-progress .nbc-arrow { border: solid var(--nbc-quiet); border-width: 0 1.5px 1.5px 0; flex: none; height: 7px; transform: rotate(45deg); margin: -3px 3px 0 2px; width: 7px; }
.nbc-progress [aria-expanded="true"] .nbc-arrow { margin-top: 4px; transform: rotate(-135deg); }
.nbc-progress :disabled .nbc-arrow { visibility: hidden; }
.nbc-progress pre.nbc-log {
  background: var(--nbc-raised); border: 0; border-left: 2px solid var(--nbc-line); color: var(--nbc-ink); font: 12px/1.45 var(--nbc-mono);
  margin: 2px 12px 8px 36px; max-height: 15em; overflow: auto; padding: 6px 10px; white-space: pre-wrap; overflow-wrap: anywhere;
}
.nbc-progress pre.nbc-log[hidden] { display: none; }
@media (prefers-reduced-motion: reduce) {
  .nbc-progress .nbc-gauge i { transition: none; }
  .nbc-progress [data-mood="running"] > .nbc-mark::before { animation: none; }
}
@container (max-width: 520px) {
  .nbc-progress .nbc-row { grid-template-columns: 14px 12ch minmax(0, 1fr) 19ch; }
  .nbc-progress .nbc-row .nbc-gauge { display: none; }
}
`;var V=0,b=(t,e)=>{t.textContent!==e&&(t.textContent=e)},g=(t,e,n)=>{t.getAttribute(e)!==n&&t.setAttribute(e,n)};function z(t){let e=o("i"),n=o("span",{class:"nbc-gauge",role:"progressbar","aria-label":t,"aria-valuemin":0,"aria-valuemax":100},e);return{element:n,set(r,s){let c=Math.floor(r*100);g(n,"aria-valuenow",String(c)),g(n,"aria-valuetext",s||`${c} %`),e.style.transform=`scaleX(${r})`}}}var B=t=>"line"in t?"line":"part"in t?"layer":"step";function X(){let t=o("div",{class:"nbc-line"});return{kind:"line",element:t,update:e=>b(t,"line"in e?e.line:"")}}function I(t){let e=o("span",{class:"nbc-mark","aria-hidden":!0}),n=o("span",{class:"nbc-state"}),r=o("span",{class:"nbc-bytes"}),s=z(`Layer ${t}`),c=o("div",{class:"nbc-row",role:"listitem"},e,o("span",{class:"nbc-code"},t),n,s.element,r);return{kind:"layer",element:c,update(d){"part"in d&&(g(c,"data-mood",d.mood),b(e,L[d.mood]),b(n,d.state),b(r,d.detail),s.set(d.part,q(d)))}}}function G(t){let e=`nbc-log-${V+=1}`,n=o("span",{class:"nbc-mark","aria-hidden":!0}),r=o("span",{class:"nbc-code nbc-what"}),s=o("span",{class:"nbc-code nbc-tail","aria-hidden":!0}),c=o("span",{class:"nbc-state"}),d=o("button",{class:"nbc-fold","aria-expanded":"false","aria-controls":e},n,o("span",{class:"nbc-code"},t),r,s,c,o("span",{class:"nbc-arrow","aria-hidden":!0})),l=o("pre",{id:e,class:"nbc-log",tabindex:0,hidden:!0,"aria-label":`What ${t} printed`}),u=o("div",{role:"listitem"},d,l),f=-1,h=!1,m=a=>{g(d,"aria-expanded",String(a)),l.hidden=!a,a&&(l.scrollTop=l.scrollHeight)};return d.addEventListener("click",()=>{h=!0,m(l.hidden)}),{kind:"step",element:u,update(a){if("log"in a){if(g(d,"data-mood",a.mood),b(n,L[a.mood]),b(r,a.title),r.title=a.title,b(c,a.state),d.disabled=a.log.length===0,b(s,a.mood==="running"?a.log.at(-1)??"":""),a.cut+a.log.length!==f){f=a.cut+a.log.length;let v=l.scrollHeight-l.scrollTop-l.clientHeight<24;b(l,(a.cut?`\u2026 ${a.cut} lines before these
`:"")+a.log.join(`
`)),v&&(l.scrollTop=l.scrollHeight)}a.mood==="failed"&&!h&&l.hidden&&m(!0)}}}}function ie({model:t,el:e}){let n=R(e,"progress",C,j);n.setAttribute("role","group");let r=o("span",{class:"nbc-dot","aria-hidden":!0}),s=o("span",{class:"nbc-name"}),c=o("span",{class:"nbc-code"}),d=o("span",{class:"nbc-quiet nbc-sum"}),l=o("span",{class:"nbc-whole"}),u=z("All of it"),f=o("div",{class:"nbc-list",role:"list"}),h=o("div",{"aria-hidden":!0}),m=o("div",{class:"nbc-hidden",role:"status","aria-live":"polite"});n.append(o("div",{class:"nbc-bar"},s,c,o("span",{class:"nbc-space"}),d,o("span",{class:"nbc-end"},r,l)),u.element,f,h,m);let a=[],v;function D(i){let N=i.name?`${i.verb} ${i.name}`:i.verb;g(n,"aria-label",N),g(n,"data-state",i.state),b(s,i.verb),b(c,i.name),b(d,i.summary),b(l,k[i.state]),r.className=`nbc-dot ${i.state==="done"?"good":i.state==="running"?"":i.state==="failed"?"bad":"wait"}`,u.element.hidden=i.part===null,i.part!==null&&u.set(i.part,i.summary),i.entries.forEach((p,x)=>{let M=B(p);if(a[x]?.kind!==M){let E=M==="line"?X():M==="layer"?I("label"in p?p.label:""):G("label"in p?p.label:"");a[x]?a[x].element.replaceWith(E.element):f.append(E.element),a[x]=E}a[x].update(p)});for(let p of a.splice(i.entries.length))p.element.remove();h.style.height=`${i.room*22}px`;let T=A(v,i);T&&b(m,T),v=i}let S=!1,y=new w(t,i=>{i.kind==="snapshot"&&(D(i.data),S&&$())});function $(){v?.state!=="running"&&y.close()}n.addEventListener("keydown",i=>i.stopPropagation());let K=H(i=>n.dataset.mode=i);return y.open(),S=!0,$(),()=>{K(),y.close()}}export{ie as render};
