// What anywidget hands a view, as far as it is used here.

export interface WidgetModel {
  get(name: string): any;
  send(content: unknown, callbacks?: unknown, buffers?: ArrayBuffer[] | ArrayBufferView[]): void;
  on(name: string, callback: (...args: any[]) => void): void;
  off(name: string | null, callback?: ((...args: any[]) => void) | null): void;
  /** The line to the kernel: of the models themselves, not of those that anywidget hands a view. */
  comm?: { on_msg(callback: (message: unknown) => unknown): void };
  widget_manager: { get_model(id: string): Promise<WidgetModel> };
}

export interface RenderProps {
  model: WidgetModel;
  el: HTMLElement;
}

export type Cleanup = () => void;

export interface ViewModule {
  render(props: RenderProps): Cleanup | Promise<Cleanup>;
}
