"""Every sentence of the data card, in Portuguese and in English side by side."""

from __future__ import annotations

# Under each key: Portuguese, then English.
TEXT: dict[str, tuple[str, str]] = {
    "title": ("Ficha de dados: {names}", "Data card: {names}"),
    "what": (
        "{kept} documentos, {words} palavras, {megabytes} MB de texto em UTF-8, escolhidos entre {read} documentos lidos.",
        "{kept} documents, {words} words, {megabytes} MB of text in UTF-8, chosen from {read} documents read.",
    ),
    "what_files": (
        "Os documentos estão em `documents-*.parquet`, um por linha, cada um com texto, origem, licença, língua e "
        "coleção; `id` é o começo do SHA-256 do texto.",
        "The documents are in `documents-*.parquet`, one a row, each with its text, source, licence, language and "
        "collection; `id` is the beginning of the text's SHA-256.",
    ),
    "sources_title": ("Fontes", "Sources"),
    "collection": ("coleção", "collection"),
    "licence": ("licença", "licence"),
    "language": ("língua", "language"),
    "reason": ("motivo", "reason"),
    "kind": ("tipo", "kind"),
    "words": ("palavras", "words"),
    "documents": ("documentos", "documents"),
    "share": ("parte", "share"),
    "megabytes": ("MB", "MB"),
    "found": ("achados", "found"),
    "kept_documents": ("documentos que ficam", "documents kept"),
    "kept_megabytes": ("MB que ficam", "MB kept"),
    "dropped_documents": ("documentos que saem", "documents dropped"),
    "unknown": ("desconhecida", "unknown"),
    "unreadable": (
        "Arquivos ou registros que não puderam ser lidos: {count}. Os primeiros:",
        "Files or records that could not be read: {count}. The first:",
    ),
    "licence_title": ("O que as licenças pedem", "What the licences ask"),
    "licence_none": (
        "ninguém disse; sem licença, o direito de copiar é só do autor",
        "nobody told; without a licence, the right to copy is the author's alone",
    ),
    "licence_unread": ("leia o texto da licença", "read the licence's own text"),
    "licence_travels": (
        "Cada documento traz a sua licença e a sua origem nas colunas `licence` e `source`.",
        "Each document carries its licence and its source in the columns `licence` and `source`.",
    ),
    "filters_title": ("Como foi filtrado", "How it was filtered"),
    "filters_order": (
        "Nesta ordem; o primeiro motivo que vale é o que se conta.",
        "In this order; the first reason that holds is the one counted.",
    ),
    "filter_licence": (
        "licença: cada documento precisa de uma, sua ou da fonte, salvo se quem curou disse o contrário",
        "licence: each document needs one, its own or its source's, unless whoever curated said otherwise",
    ),
    "filter_evaluation": (
        "prova: saem os documentos com 13 palavras seguidas em comum com os textos de avaliação em `{path}` "
        "([Brown et al. 2020](https://arxiv.org/abs/2005.14165))",
        "evaluation: documents that share 13 words in a row with the evaluation texts in `{path}` go "
        "([Brown et al. 2020](https://arxiv.org/abs/2005.14165))",
    ),
    "filter_exact": (
        "cópias exatas: de textos iguais, salvo maiúsculas e espaços, fica o primeiro",
        "exact duplicates: of texts equal but for case and space, the first stays",
    ),
    "filter_near": (
        "quase cópias: MinHash sobre grupos de {words} palavras, {bands} faixas de {rows}; metade dos pares com "
        "semelhança de Jaccard de {half} é apanhada, quase nenhum bem abaixo, quase todos bem acima "
        "([Lee et al. 2022](https://arxiv.org/abs/2107.06499))",
        "near duplicates: MinHash over groups of {words} words, {bands} bands of {rows}; half of the pairs with a Jaccard "
        "similarity of {half} are caught, hardly any far below, nearly all far above "
        "([Lee et al. 2022](https://arxiv.org/abs/2107.06499))",
    ),
    "dropped_title": ("O que saiu e por quê", "What was dropped and why"),
    "dropped_none": ("Nada saiu.", "Nothing was dropped."),
    "dropped_where": (
        "O que saiu está, com o motivo, em `dropped-*.parquet`, que não precisa acompanhar o corpus.",
        "What was dropped is, with its reason, in `dropped-*.parquet`, which need not travel with the corpus.",
    ),
    "personal_title": ("Dados pessoais", "Personal data"),
    "personal_mask": (
        "Dados pessoais reconhecidos foram trocados por marcas com o seu tipo, nos documentos que ficam e nos que saem.",
        "Personal data that were recognised were replaced by marks that tell their kind, in documents kept and dropped.",
    ),
    "personal_drop": (
        "Documentos em que se reconheceram dados pessoais saíram; o que se guarda deles está mascarado.",
        "Documents in which personal data were recognised were dropped; what is stored of them is masked.",
    ),
    "personal_report": (
        "Dados pessoais reconhecidos foram só contados: **continuam no texto**.",
        "Personal data that were recognised were only counted: **they are still in the text**.",
    ),
    "personal_off": ("Ninguém procurou dados pessoais.", "Nobody looked for personal data."),
    "languages_title": ("Línguas", "Languages"),
    "lengths_title": ("Tamanhos", "Lengths"),
    "splits_title": ("Divisões", "Splits"),
    "splits": (
        "Nenhuma aqui: `dozero pack` separa documentos para a prova por um hash do texto, depois de tirar as cópias, de "
        "modo que o mesmo documento cai sempre do mesmo lado.",
        "None here: `dozero pack` holds documents out by a hash of their text, after duplicates are gone, so that the "
        "same document always falls on the same side.",
    ),
    "limits_title": ("Limites conhecidos", "Known limits"),
    "limit_unlicensed": (
        "Documentos que ficaram sem que se saiba a licença: {count}.",
        "Documents kept though their licence is not known: {count}.",
    ),
    "limit_languages": ("A língua não decidiu o que fica.", "Language did not decide what stays."),
    "limit_duplicates": ("Não se procuraram quase cópias.", "Nobody looked for near duplicates."),
    "limit_evaluation": (
        "Não se comparou com nenhum texto de avaliação: notas de provas públicas podem sair altas demais.",
        "It was compared with no evaluation text: scores on public tests may come out too high.",
    ),
    "limit_personal": (
        "Dados pessoais são reconhecidos pela forma e pelos dígitos verificadores; nomes e endereços por extenso não são.",
        "Personal data are recognised by form and check digits; names and addresses in words are not.",
    ),
    "limit_personal_left": (
        "Dados pessoais podem estar no texto.",
        "Personal data may be in the text.",
    ),
    "limit_rules": (
        "As regras olham a forma do texto, não se o que ele diz é verdade, justo ou atual.",
        "The rules look at the form of a text, not at whether what it says is true, fair or current.",
    ),
    "again_title": ("Como refazer", "How to make it again"),
    "again": (
        "Com dozero {version} e os mesmos arquivos, que `manifest.json` identifica por SHA-256:",
        "With dozero {version} and the same files, which `manifest.json` identifies by SHA-256:",
    ),
    "erase_title": ("Como apagar alguma coisa", "How to have something erased"),
    "erase": (
        "Quem guarda o corpus apaga um documento pelo id, pelo SHA-256 do texto ou por uma expressão regular; o comando "
        "diz também que modelos o viram:",
        "Whoever keeps the corpus erases a document by its id, the SHA-256 of its text or a regular expression; the "
        "command also says which models saw it:",
    ),
}

_GOPHER = "[Rae et al. 2021](https://arxiv.org/abs/2112.11446)"
# Under the name of each filter: Portuguese, English, the paper it comes from.
FILTERS: dict[str, tuple[str, str, str]] = {
    "length": ("nem curto nem longo demais", "neither too short nor too long", ""),
    "language": (
        "a língua reconhecida é uma das pedidas",
        "the language recognised is one of those asked for",
        "[Lui & Baldwin 2012](https://aclanthology.org/P12-3005/)",
    ),
    "gopher_quality": (
        "número e tamanho das palavras, símbolos, marcadores e reticências no começo e no fim das linhas, palavras "
        "comuns da língua",
        "number and length of words, symbols, bullets and ellipses at the ends of lines, common words of the language",
        _GOPHER,
    ),
    "gopher_repetition": (
        "linhas, parágrafos e sequências de palavras que se repetem",
        "lines, paragraphs and runs of words that repeat",
        _GOPHER,
    ),
    "c4": (
        "frases completas, sem lorem ipsum, chaves ou avisos de navegador",
        "whole sentences, no lorem ipsum, curly braces or browser notices",
        "[Raffel et al. 2020](https://arxiv.org/abs/1910.10683)",
    ),
    "fineweb": (
        "linhas que terminam em pontuação, linhas curtas e repetidas, listas",
        "lines that end in punctuation, short and repeated lines, lists",
        "[Penedo et al. 2024](https://arxiv.org/abs/2406.17557)",
    ),
}
