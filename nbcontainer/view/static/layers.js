function o(a,r={},...t){let s=document.createElement(a);for(let[c,d]of Object.entries(r))typeof d=="function"?s.addEventListener(c.slice(2),d):d!==void 0&&d!==!1&&s.setAttribute(c,d===!0?"":String(d));return s.append(...t),s}function T(a,r,...t){let s=o("style");s.textContent=t.join(`
`);let c=o("div",{class:`nbc-view nbc-${r}`});return a.replaceChildren(s,c),c}var q={seen:"\u25CF",merged:"\u25D0",hidden:"\u25CB",removed:"\u2715"},z={added:"A",changed:"C",removed:"D"},S=a=>a.kind==="writable"?"the writable layer":a.kind==="host"?"this machine's root":`layer ${a.name}`;function A(a,r,t,s){if(s)return s;if(!a||!t.length)return"";let c=t.indexOf("seen");if(c>=0){let m=t.filter(h=>h==="merged").length;if(m)return`${a} is a directory of ${m+1} layers, merged.`;let l=t.filter(h=>h==="hidden").length,v=l?` It covers what ${l===1?"one layer":`${l} layers`} below ${l===1?"has":"have"} there.`:"";return`${a} comes from ${S(r[c])}.${v}`}let d=t.indexOf("removed");return d>=0?`${a} is not there: ${S(r[d])} removes it.`:`${a} is in no layer.`}var P=0,$=class{constructor(r,t){this.model=r;this.handle=t;this.hear=(s,c)=>this.receive(s,c??[])}page=`${Date.now().toString(36)}-${P+=1}`;hear;ready=!1;given=()=>this.handle({kind:"snapshot",data:this.model.get("snapshot")},[]);open(){window.addEventListener("pagehide",this.leave),this.model.on("msg:custom",this.hear),this.model.on("change:snapshot",this.given),this.given(),this.send({kind:"open"})}leave=()=>this.send({kind:"close"});receive(r,t){let s=r.kind==="snapshot"&&r.page&&r.page!==this.page;this.send({kind:"ack"}),!s&&(!this.ready&&r.kind!=="snapshot"||(this.ready=!0,this.handle(r,t)))}send(r,t){try{this.model.send({...r,page:this.page},void 0,t)}catch{}}close(){window.removeEventListener("pagehide",this.leave),this.model.off("msg:custom",this.hear),this.model.off("change:snapshot",this.given),this.send({kind:"close"})}};function K(a=document){let r=a.body.dataset.jpThemeLight;if(r==="true"||r==="false")return r==="true"?"light":"dark";let t=a.body.dataset.vscodeThemeKind;return t?t.includes("light")?"light":"dark":window.matchMedia?.("(prefers-color-scheme: dark)").matches?"dark":"light"}function R(a){let r,t=()=>{let d=K();d!==r&&a(r=d)};t();let s=new MutationObserver(t);s.observe(document.body,{attributes:!0,attributeFilter:["data-jp-theme-light","data-vscode-theme-kind"]});let c=window.matchMedia?.("(prefers-color-scheme: dark)");return c?.addEventListener("change",t),()=>{s.disconnect(),c?.removeEventListener("change",t)}}var C=`.nbc-view {
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
`;var D=`.nbc-layers { max-width: 900px; }
.nbc-layers .nbc-bar { flex-wrap: nowrap; }
.nbc-layers .nbc-bar .nbc-code { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.nbc-layers input[type="search"] { flex: 0 1 270px; font-family: var(--nbc-mono); min-width: 120px; }
.nbc-layers .nbc-answer { line-height: 20px; min-height: 28px; overflow-wrap: anywhere; padding: 6px 12px 2px; }
.nbc-layers .nbc-answer.bad { color: var(--nbc-bad); }
.nbc-layers .nbc-answer:empty::before { color: var(--nbc-quiet); content: "Unfold a layer to see its files; a path in the box above says which layer it comes from."; }
.nbc-layers .nbc-stack { display: flex; flex-direction: column; gap: 4px; padding: 6px 12px 12px; }
.nbc-layers .nbc-slab { background: var(--nbc-raised); border: 1px solid var(--nbc-line); border-left: 4px solid var(--nbc-line); border-radius: 5px; overflow: hidden; }
.nbc-layers .nbc-slab[data-kind="writable"] { background: none; border-color: var(--nbc-quiet); border-style: dashed; border-left-style: solid; }
.nbc-layers .nbc-slab[data-said="seen"], .nbc-layers .nbc-slab[data-said="merged"] { border-left-color: var(--nbc-good); }
.nbc-layers .nbc-slab[data-said="removed"] { border-left-color: var(--nbc-bad); }
.nbc-layers button.nbc-fold {
  align-items: center; background: none; border: 0; border-radius: 0; display: grid; font-size: 13px; gap: 0 12px;
  grid-template-columns: 10px 12ch minmax(0, 1fr) 76px 128px 84px; height: 32px; padding: 0 12px 0 10px; text-align: left; width: 100%;
}
.nbc-layers button.nbc-fold:disabled { cursor: default; opacity: 1; }
.nbc-layers button.nbc-fold:not(:disabled):hover { background: color-mix(in srgb, var(--nbc-ink) 5%, transparent); }
.nbc-layers button.nbc-fold:focus-visible { outline-offset: -2px; }
.nbc-layers .nbc-arrow { border: solid var(--nbc-quiet); border-width: 0 1.5px 1.5px 0; height: 7px; transform: rotate(-45deg); width: 7px; }
.nbc-layers [aria-expanded="true"] .nbc-arrow { transform: rotate(45deg) translate(-2px, -2px); }
.nbc-layers :disabled .nbc-arrow { visibility: hidden; }
.nbc-layers .nbc-layer { font-weight: 600; }
.nbc-layers .nbc-by { color: var(--nbc-quiet); line-height: 1.5; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.nbc-layers .nbc-word { font-size: 12px; white-space: nowrap; }
.nbc-layers [data-said="seen"] .nbc-word { color: var(--nbc-good); font-weight: 600; }
.nbc-layers [data-said="merged"] .nbc-word { color: var(--nbc-good); }
.nbc-layers [data-said="hidden"] .nbc-word { color: var(--nbc-quiet); }
.nbc-layers [data-said="removed"] .nbc-word { color: var(--nbc-bad); font-weight: 600; }
.nbc-layers .nbc-files { color: var(--nbc-quiet); font-size: 12px; font-variant-numeric: tabular-nums; text-align: right; white-space: nowrap; }
.nbc-layers .nbc-sizes { font-variant-numeric: tabular-nums; text-align: right; }
.nbc-layers .nbc-sizes i { background: var(--nbc-accent); border-radius: 1px; display: block; height: 2px; margin-top: 4px; opacity: .7; transform-origin: right; }
.nbc-layers .nbc-list { background: var(--nbc-ground); border-top: 1px solid var(--nbc-line); max-height: 17em; overflow: auto; padding: 4px 0; }
.nbc-layers .nbc-list[hidden] { display: none; }
.nbc-layers .nbc-list:focus-visible { outline-offset: -2px; }
.nbc-layers .nbc-list > .nbc-quiet { padding: 2px 12px 2px 30px; }
.nbc-layers .nbc-file { cursor: pointer; display: grid; gap: 0 10px; grid-template-columns: 14px minmax(0, 1fr) auto; padding: 1px 14px 1px 12px; }
.nbc-layers .nbc-file .nbc-code { overflow-wrap: anywhere; }
.nbc-layers .nbc-file .nbc-quiet { font-size: 12px; font-variant-numeric: tabular-nums; }
.nbc-layers .nbc-file:hover { background: var(--nbc-raised); }
.nbc-layers .nbc-file.at, .nbc-layers .nbc-file[aria-selected="true"] { background: color-mix(in srgb, var(--nbc-accent) 14%, transparent); }
.nbc-layers .nbc-file b { font: 600 12px/1.6 var(--nbc-mono); text-align: center; }
.nbc-layers .nbc-file.added b { color: var(--nbc-good); }
.nbc-layers .nbc-file.changed b { color: var(--nbc-wait); }
.nbc-layers .nbc-file.removed b { color: var(--nbc-bad); }
.nbc-layers .nbc-file.removed .nbc-code { color: var(--nbc-quiet); text-decoration: line-through; }
@media (max-width: 620px) {
  .nbc-layers button.nbc-fold { grid-template-columns: 10px 12ch minmax(0, 1fr) 76px 84px; }
  .nbc-layers .nbc-fold .nbc-files { display: none; }
}
`;var V=0,B=150,w=(a,r)=>{a.textContent!==r&&(a.textContent=r)};function F(a,r,t){let s=`nbc-files-${V+=1}`,c=o("span",{class:"nbc-code nbc-layer"}),d=o("span",{class:"nbc-code nbc-by"}),m=o("span",{class:"nbc-word"}),l=o("span",{class:"nbc-files"}),v=o("span",{class:"nbc-size"}),h=o("i",{"aria-hidden":!0}),y=o("button",{class:"nbc-fold","aria-expanded":"false","aria-controls":s},o("span",{class:"nbc-arrow","aria-hidden":!0}),c,d,m,l,o("span",{class:"nbc-sizes"},v,h)),b=o("div",{id:s,class:"nbc-list",role:"listbox",tabindex:0,hidden:!0,"aria-label":"Files"}),x=o("div",{class:"nbc-slab",role:"listitem"},y,b),E="",f=-1,k=()=>[...b.querySelectorAll("[role=option]")];function M(e){let i=k();i.length&&(f=Math.max(0,Math.min(i.length-1,e)),i.forEach((n,p)=>n.classList.toggle("at",p===f)),b.setAttribute("aria-activedescendant",i[f].id),i[f].scrollIntoView({block:"nearest"}))}return y.addEventListener("click",()=>{let e=b.hidden;b.hidden=!e,y.setAttribute("aria-expanded",String(e)),e&&!E&&b.replaceChildren(o("div",{class:"nbc-quiet"},"\u2026")),r({kind:e?"list":"fold",layer:a})}),b.addEventListener("click",e=>{let i=k(),n=i.indexOf(e.target.closest("[role=option]"));n<0||(M(n),t(i[n].dataset.path))}),b.addEventListener("keydown",e=>{let i={ArrowDown:f+1,ArrowUp:f-1,Home:0,End:k().length-1,PageDown:f+10,PageUp:f-10};if(e.key in i)M(i[e.key]);else if(e.key==="Enter"&&f>=0)t(k()[f].dataset.path);else return;e.preventDefault()}),{element:x,show(e){x.dataset.kind=e.kind,w(c,e.name),c.title=e.digest,w(d,e.by),d.title=e.by;let i=e.files===null?"":`${e.files} ${e.files===1?"file":"files"}`;w(l,i+(e.removed?`, ${e.removed} removed`:"")),w(v,e.size),h.style.transform=`scaleX(${e.share})`,y.disabled=e.kind==="host"},say(e,i){w(m,e?`${q[e]} ${e}`:""),m.title=e?i:"",x.dataset.said=i?e||"nothing":""},fill(e,i){let n=JSON.stringify([e,i]);if(n===E)return;E=n;let p=b.scrollTop;b.replaceChildren(...e.map(([u,g,L],H)=>{let I=z[g]??"",j=g==="file"||g==="directory"?"":g;return o("div",{role:"option",id:`${s}-${H}`,class:`nbc-file ${g}`,"data-path":u,"aria-label":[u,j,L].filter(Boolean).join(", ")},o("b",{},I),o("span",{class:"nbc-code"},g==="directory"?`${u}/`:u),o("span",{class:"nbc-quiet"},g==="link"?"link":g==="removed"||g==="directory"?"":L))}),...i?[o("div",{class:"nbc-quiet"},`and ${i} more`)]:[],...e.length?[]:[o("div",{class:"nbc-quiet"},"Nothing.")]),b.scrollTop=p,f>=0&&M(f)},mark(e){for(let i of k())i.setAttribute("aria-selected",String(i.dataset.path===e))},unfolded:()=>!b.hidden}}function re({model:a,el:r}){let t=T(r,"layers",C,D);t.setAttribute("role","group");let s=o("span",{class:"nbc-code"}),c=o("input",{type:"search",placeholder:"/a/path: which layer?","aria-label":"Path, to find its layer",spellcheck:"false",autocomplete:"off"}),d=o("div",{class:"nbc-answer",role:"status","aria-live":"polite"}),m=o("div",{class:"nbc-stack",role:"list"});t.append(o("div",{class:"nbc-bar"},o("span",{class:"nbc-name"},"Layers"),s,o("span",{class:"nbc-space"}),c),d,m);let l=[],v=[],h=0,y=n=>e.send(n),b=()=>c.value.trim();function x(){window.clearTimeout(h),b()||(l.forEach(n=>n.say("","")),w(d,"")),y({kind:"find",path:b()})}function E(n){c.value=n,l.forEach(p=>p.mark(n)),x()}function f(n){w(s,n.title),t.setAttribute("aria-label",`Layers of ${n.title}`),v=n.layers,l.length!==v.length&&(l=v.map((p,u)=>F(u,y,E)),m.replaceChildren(...l.map(p=>p.element))),v.forEach((p,u)=>l[u].show(p))}function k(n,p,u){p===b()&&(l.forEach((g,L)=>g.say(n[L]??"",p)),w(d,A(p,v,n,u)),d.classList.toggle("bad",!!u))}c.addEventListener("input",()=>{window.clearTimeout(h),h=window.setTimeout(x,B)}),c.addEventListener("keydown",n=>{n.key==="Enter"?x():n.key==="Escape"&&E("")}),t.addEventListener("keydown",n=>n.stopPropagation());let M=!1,e=new $(a,n=>{n.kind==="snapshot"?(M||(c.value=n.data.path),M=!0,f(n.data),l.forEach((p,u)=>p.unfolded()&&y({kind:"list",layer:u}))):n.kind==="layers"?f(n.data):n.kind==="list"?l[n.layer]?.fill(n.data,n.more):n.kind==="where"&&k(n.said,n.path,n.error)}),i=R(n=>t.dataset.mode=n);return e.open(),()=>{window.clearTimeout(h),i(),e.close()}}export{re as render};
