"""Every sentence the command line says, in Portuguese and in English side by side."""

from __future__ import annotations

from typing import Any

from dozero.cli.language import narration

# Under each key: Portuguese, then English.
MESSAGES: dict[str, tuple[str, str]] = {
    "title_words": (
        "[bold]dozero[/] {version} · um modelo de linguagem do zero · palavras em [bold]{name}[/]",
        "[bold]dozero[/] {version} · a language model from zero · words in [bold]{name}[/]",
    ),
    "title_stories": (
        "[bold]dozero[/] {version} · um modelo de linguagem do zero · histórias em [bold]{name}[/]",
        "[bold]dozero[/] {version} · a language model from zero · stories in [bold]{name}[/]",
    ),
    "machine": (
        "{device} · {threads} threads · {dtype} · semente {seed}",
        "{device} · {threads} threads · {dtype} · seed {seed}",
    ),
    "plan": (
        "plano: {steps} passos de {batch} tokens, modelo de {layers} camadas e largura {width}; uns {seconds:.0f} s",
        "plan: {steps} steps of {batch} tokens, a model of {layers} layers, {width} wide; about {seconds:.0f} s",
    ),
    "plan_loss": (
        "prova prevista: {bits:.3f} bits por {unit}, {nats:.3f} nats por token (± {error:.0%})",
        "exam foretold: {bits:.3f} bits per {unit}, {nats:.3f} nats per token (± {error:.0%})",
    ),
    "plan_rough": (
        "por alto: a lei foi ajustada a outros textos ou a outros tempos",
        "roughly: the law was fitted to other texts or to other times",
    ),
    "plan_full": (
        "aviso: o modelo verá os documentos {epochs:.1f} vezes; com tanto texto novo seriam {bits:.3f} bits por {unit} "
        "(a repetição custa {cost:.1%})",
        "note: the model will see the documents {epochs:.1f} times; with as much new text it would be {bits:.3f} bits per {unit} "
        "(the repetition costs {cost:.1%})",
    ),
    "plan_short": (
        "aviso: o texto só basta para uns {minutes:.1f} dos {asked:g} minutos: depois de visto {epochs:.1f} vezes, mais treino só "
        "piora a prova. Para usar o resto: mais texto",
        "note: the text is enough for about {minutes:.1f} of the {asked:g} minutes: once seen {epochs:.1f} times, more training only "
        "makes the exam worse. To use the rest: more text",
    ),
    "plan_outcome": (
        "prova: {foretold:.4f} bits por byte previstos, {got:.4f} obtidos ({off:+.1%})",
        "exam: {foretold:.4f} bits per byte foretold, {got:.4f} reached ({off:+.1%})",
    ),
    "data": ("Dados", "Data"),
    "data_kept": (
        "{kept} palavras ficam, de {total} ({source}; {licence})",
        "{kept} words stay, of {total} ({source}; {licence})",
    ),
    "data_dropped": ("saem:", "dropped:"),
    "data_heldout": (
        "{heldout} ficam de fora para a prova: o modelo nunca as vê",
        "{heldout} are kept aside for the exam: the model never sees them",
    ),
    "stories_kept": (
        "{stories} histórias de uma gramática nossa: {plots} enredos, {words} palavras, {nats:.0f} nats de surpresa em cada uma",
        "{stories} stories of a grammar of our own: {plots} plots, {words} words, {nats:.0f} nats of surprise in each",
    ),
    "stories_heldout": (
        "{heldout} ficam de fora para a prova: o modelo nunca as vê",
        "{heldout} are kept aside for the exam: the model never sees them",
    ),
    "tokens": ("Tokens", "Tokens"),
    "stories_tokens": (
        "{vocab} tokens, aprendidos das histórias: os pares mais comuns se juntam; {bytes:.1f} bytes em cada um",
        "{vocab} tokens, learned from the stories: the commonest pairs are joined; {bytes:.1f} bytes in each",
    ),
    "tokens_alphabet": (
        "o alfabeto: {alphabet} ({count} letras; com o sinal de fim, {vocab} tokens)",
        "the alphabet: {alphabet} ({count} letters; with the end mark, {vocab} tokens)",
    ),
    "model": ("Modelo", "Model"),
    "model_shape": (
        "um transformer de {params} parâmetros: {layers} camadas, largura {width}, {heads} cabeças de atenção",
        "a transformer of {params} parameters: {layers} layers, {width} wide, {heads} attention heads",
    ),
    "model_babble": ("sem treino, ele balbucia: {text}", "untrained, it babbles: {text}"),
    "training": ("Treino", "Training"),
    "training_what": (
        "até {steps} passos; em cada um ele adivinha a próxima letra de umas {words} palavras e é corrigido",
        "up to {steps} steps; in each it guesses the next letter of some {words} words and is corrected",
    ),
    "stories_training": (
        "até {steps} passos; em cada um ele adivinha o próximo token de umas {stories} histórias e é corrigido",
        "up to {steps} steps; in each it guesses the next token of some {stories} stories and is corrected",
    ),
    "stories_exam": (
        "nats por token em {stories} histórias que ele nunca viu (menos é melhor)",
        "nats per token on {stories} stories it never saw (less is better)",
    ),
    "rung_floor": ("piso", "floor"),
    "stories_gap": (
        "o piso é a entropia exata da gramática: nenhum modelo passa dele; faltam {gap:.3f} nats por token",
        "the floor is the exact entropy of the grammar: no model gets below it; {gap:.3f} nats per token to go",
    ),
    "stories": ("Histórias", "Stories"),
    "stories_what": ("três que ele inventa agora (temperatura {temperature}):", "three that it makes up now (temperature {temperature}):"),
    "stories_again": ("já treinado em {path}; três histórias novas (--fresh treina de novo):",
                      "already trained in {path}; three more stories (--fresh trains anew):"),
    "stories_judged": (
        "a gramática corrige {stories}: {sentences_right:.1%} das frases certas, {stories_right:.1%} das histórias certas do começo ao fim, {new:.1%} novas",
        "the grammar marks {stories}: {sentences_right:.1%} of the sentences right, {stories_right:.1%} of the stories right from first to last, {new:.1%} new",
    ),
    "unit_char": ("letra", "letter"),
    "unit_bpe": ("token", "token"),
    "unit_byte": ("byte", "byte"),
    "training_sample": ("passo {step:>5}   prova {loss:.3f} nats/{unit}   escreve: [bold]{text}[/]",
                        "step {step:>5}   exam {loss:.3f} nats/{unit}   writes: [bold]{text}[/]"),
    "training_resumed": ("continua do passo {step} de {total}", "continues from step {step} of {total}"),
    "exam": ("Prova", "Exam"),
    "exam_what": (
        "bits por letra em {words} palavras que ele nunca viu (menos é melhor; o fim da palavra conta como letra)",
        "bits per letter on {words} words it never saw (less is better; the end of a word counts as a letter)",
    ),
    "rung_uniform": ("sorteio", "uniform"),
    "rung_unigram": ("unigrama", "unigram"),
    "rung_bigram": ("bigrama", "bigram"),
    "rung_trigram": ("trigrama", "trigram"),
    "rung_model": ("este modelo", "this model"),
    "words": ("Palavras", "Words"),
    "words_what": ("dez que ele inventa agora (temperatura {temperature}):", "ten that it makes up now (temperature {temperature}):"),
    "words_again": ("já treinado em {path}; dez palavras novas (--fresh treina de novo):",
                    "already trained in {path}; ten more words (--fresh trains anew):"),
    "verdict_new": ("nova", "new"),
    "verdict_exists": ("existe", "exists"),
    "verdict_almost": ("quase uma cópia de {near}", "almost a copy of {near}"),
    "saved": ("Tudo está em [bold]{path}[/] ({seconds:.0f} s ao todo). E agora:",
              "Everything is in [bold]{path}[/] ({seconds:.0f} s in all). What now:"),
    "next_why": ("por que cada letra: os candidatos e suas chances", "why each letter: the candidates and their chances"),
    "next_deeper": ("mude uma coisa e compare a prova", "change one thing and compare the exam"),
    "next_other": ("a mesma coisa em inglês", "the same in Portuguese"),
    "passed_over": ("checkpoint inválido, deixado de lado: {path} ({reason})", "checkpoint not valid, passed over: {path} ({reason})"),
    "attention": ("atenção: {kernel} (medido agora: {times})", "attention: {kernel} (measured now: {times})"),
    "attention_written": ("por extenso", "written out"),
    "attention_fused": ("em C, com o bloco todo", "in C, with the whole block"),
    "attention_library": ("a do torch", "torch's own"),
    "attention_auto": ("pelo comprimento", "by length"),
    "compiled": ("blocos compilados em {seconds:.0f} s", "blocks compiled in {seconds:.0f} s"),
    "compile_on": (
        "blocos compilados em {seconds:.0f} s (medido agora: um bloco leva {compiled:.1f} ms em vez de {plain:.1f})",
        "blocks compiled in {seconds:.0f} s (measured now: a block takes {compiled:.1f} ms instead of {plain:.1f})",
    ),
    "compile_off": (
        "blocos como são: compilar não compensa aqui (medido em {seconds:.0f} s: {compiled:.1f} ms em vez de {plain:.1f})",
        "blocks as they are: compiling does not pay here (measured in {seconds:.0f} s: {compiled:.1f} ms instead of {plain:.1f})",
    ),
    "compile_failed": ("blocos como são: não deu para compilar ({reason})", "blocks as they are: they could not be compiled ({reason})"),
    "differences": ("mudou desde o início deste treino, os bits podem diferir: {what}",
                    "changed since this run began, bits may differ: {what}"),
    "diverged_raise": (
        "passo {step}: {what} ({got}); documentos {documents}",
        "step {step}: {what} ({got}); documents {documents}",
    ),
    "diverged_skip": (
        "passo {step} pulado: {what} ({got}); documentos {documents}",
        "step {step} skipped: {what} ({got}); documents {documents}",
    ),
    "diverged_rollback": (
        "passo {step}: {what} ({got}); volta ao passo {back} sem os dados desde então; documentos {documents}",
        "step {step}: {what} ({got}); back to step {back} without the data since; documents {documents}",
    ),
    "unsaved": ("passo {step} não foi salvo, o treino continua: {reason}", "step {step} was not saved, training goes on: {reason}"),
    "replanned": ("o fim do treino se ajusta ao tempo: por ora, o passo {total}", "the end of training adjusts to the time: for now, step {total}"),
    "stopped": ("interrompido e salvo no passo {step} de {total}; o mesmo comando continua:",
                "interrupted and saved at step {step} of {total}; the same command continues:"),
    "unread": ("não lido: {where}: {what}", "not read: {where}: {what}"),
    "unread_more": (
        "não lidos: mais arquivos ou registros pelo mesmo motivo ({what}); o relatório os conta",
        "not read: more files or records for the same reason ({what}); the report counts them",
    ),
    "read_so_far": ("{documents} documentos, {kept} ficam, {mb:.1f} MB", "{documents} documents, {kept} stay, {mb:.1f} MB"),
    "stage_made": ("{stage}: feito em {path}", "{stage}: made in {path}"),
    "stage_current": ("{stage}: em dia em {path}", "{stage}: up to date in {path}"),
    "stage_corpus": ("dados", "corpus"),
    "stage_tokenizer": ("tokens", "tokenizer"),
    "stage_dataset": ("conjunto", "dataset"),
    "finished": ("pronto: {path} · {bits:.4f} bits por letra na prova · {steps} passos · {seconds:.1f} s de treino",
                 "done: {path} · {bits:.4f} bits per letter in the exam · {steps} steps · {seconds:.1f} s of training"),
    "finished_bytes": ("pronto: {path} · {bits:.4f} bits por byte na prova · {steps} passos · {seconds:.1f} s de treino",
                       "done: {path} · {bits:.4f} bits per byte in the exam · {steps} steps · {seconds:.1f} s of training"),
    "report_made": ("relatório: {path}", "report: {path}"),
    "report_not_made": ("o modelo está salvo; o relatório, não: {reason}", "the model is saved; the report is not: {reason}"),
    "finding_problem": ("[bold red]✗[/] [bold]{what}[/]", "[bold red]✗[/] [bold]{what}[/]"),
    "finding_note": ("[yellow]·[/] {what}", "[yellow]·[/] {what}"),
    "finding_well": ("[bold green]✓[/] [bold]{what}[/]", "[bold green]✓[/] [bold]{what}[/]"),
    "finding_evidence": ("indícios: {evidence}", "evidence: {evidence}"),
    "finding_advice": ("o que fazer: {advice}", "what to do: {advice}"),
    "finding_command": ("[bold]{command}[/]", "[bold]{command}[/]"),
    "new_made": ("feito: {file}. Mude o que quiser nele e rode:", "made: {file}. Change what you like in it and run:"),
    "cost": ("{params} parâmetros, {steps} passos, {mflop:.2f} MFLOP por token, {flops:.2f} TFLOP ao todo, "
             "{epochs:.1f} vezes os documentos",
             "{params} parameters, {steps} steps, {mflop:.2f} MFLOP a token, {flops:.2f} TFLOP in all, "
             "{epochs:.1f} times the documents"),
    "cost_time": ("tempo: uns {seconds:.0f} s de treino, {step_ms:.0f} ms por passo (medidos agora)",
                  "time: about {seconds:.0f} s of training, {step_ms:.0f} ms a step (measured now)"),
    "cost_time_unknown": ("tempo: não medido, porque um passo pode não caber na memória",
                          "time: not measured, because a step may not fit the memory"),
    "cost_memory": ("memória: até {needed} MB: o treino usa {alive} MB no pico, o alocador retém até {heap} MB do que foi "
                    "liberado, o torch e os dados ocupam {idle} MB; a máquina tem {available} MB livres de {total} MB",
                    "memory: up to {needed} MB: training uses {alive} MB at its peak, the allocator keeps up to {heap} MB of what "
                    "was freed, torch and the data hold {idle} MB; this machine has {available} MB free of {total} MB"),
    "cost_memory_kinds": ("por tipo, cada um no seu máximo: pesos {weights}, gradientes {gradients}, otimizador {optimizer}, "
                          "ativações {activations}, logits {logits}, atualização {update} MB",
                          "by kind, each at its most: weights {weights}, gradients {gradients}, optimizer {optimizer}, "
                          "activations {activations}, logits {logits}, update {update} MB"),
    "cost_no_room": ("[bold red]aviso:[/] pode não caber, faltam até {short} MB. Cabe com: {settings}",
                     "[bold red]warning:[/] it may not fit, up to {short} MB are missing. It fits with: {settings}"),
    "cost_no_room_at_all": ("[bold red]aviso:[/] pode não caber, faltam até {short} MB, nem com train.micro_batch_tokens e "
                            "train.checkpoint_activations: diminua o modelo",
                            "[bold red]warning:[/] it may not fit, up to {short} MB are missing, not even with train.micro_batch_tokens "
                            "and train.checkpoint_activations: make the model smaller"),
    "why_head": ("letra   chance   depois das regras   dúvida   outras candidatas",
                 "token   chance   after the rules     doubt    other candidates"),
    "reason:more usual in another language": ("mais usadas em outra língua", "more usual in another language"),
    "reason:not only letters": ("com algo além de letras", "not only letters"),
    "reason:too short": ("curtas demais", "too short"),
    "reason:too long": ("longas demais", "too long"),
    "reason:letter outside the alphabet": ("com letra fora do alfabeto", "letter outside the alphabet"),
    "reason:repeated": ("repetidas", "repeated"),
    "reason:beyond max_words": ("além de max_words", "beyond max_words"),
}  # fmt: skip

LANGUAGE_NAMES = {"pt": ("português", "Portuguese"), "en": ("inglês", "English"), "es": ("espanhol", "Spanish"),
                  "fr": ("francês", "French"), "de": ("alemão", "German"), "it": ("italiano", "Italian")}  # fmt: skip


def say(lang: str, key: str, **values: Any) -> str:
    """Return a message in the narrated language nearest to `lang`, filled in."""
    return MESSAGES[key][0 if narration(lang) == "pt" else 1].format(**values)


def language_name(lang: str, code: str) -> str:
    """Return the name of a language in the narrated language, or its code."""
    names = LANGUAGE_NAMES.get(code)
    return code if names is None else names[0 if narration(lang) == "pt" else 1]


def number(lang: str, value: int) -> str:
    """Return a whole number with the language's thousands separator.

    >>> number("pt", 235493), number("en", 235493)
    ('235.493', '235,493')
    """
    text = f"{value:,}"
    return text.replace(",", ".") if narration(lang) == "pt" else text
